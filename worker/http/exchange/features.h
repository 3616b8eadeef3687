// Where features hook into an exchange: one call each, at a named point. The steps are rows of
// steps.cc in this order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

class BodyFilter;

// --- When the server is known ---
struct Refusal {
  int status = 0;  // 0: none
  std::string why;
};
Refusal CheckClientCertificate(Exchange& exchange);  // client_certificate.cc: ssl_verify_client

// --- Steps of routing ---
Step RealIpStep(
    Exchange& exchange);  // realip.cc: after the server is known, and again after the location is
Step LimitConnStep(Exchange& exchange);  // limit_conn.cc
Step LimitReqStep(Exchange& exchange);   // limit_req.cc; may delay
// access.cc: satisfy over allow/deny, auth_basic (auth_basic.cc) and auth_request (auth_request.cc)
Step AccessStep(Exchange& exchange);
Step AuthRequestStep(Exchange& exchange);  // asks and waits
Step AuthAnswerStep(Exchange& exchange);
Step AccessDelayStep(Exchange& exchange);    // auth_delay
Step AccessVerdictStep(Exchange& exchange);  // answers what the steps before it have decided
Step MirrorStep(Exchange& exchange);         // mirror.cc
Step TryFilesStep(Exchange& exchange);       // try_files.cc
Step EmptyGifContent(Exchange& exchange);    // empty_gif.cc
Step StubStatusContent(Exchange& exchange);  // stub_status.cc
Step ApiContent(Exchange& exchange);         // status_content.cc
Step PrometheusContent(Exchange& exchange);  // status_content.cc
Step DashboardContent(Exchange& exchange);   // status_content.cc
Step StaticContent(Exchange& exchange);      // static_files.cc: root, alias, index

// --- Response head, in this order ---
// 304 and 412 (conditional.cc). False: the response was replaced.
bool ApplyConditions(Exchange& exchange);
// add_headers.cc: add_header, expires. False: one that protects cannot be sent as it is (CR, LF or
// NUL in its value), so the response must not be sent either, unless it is the answer to that.
bool AddResponseHeaders(Exchange& exchange, bool refused);
void AddCharset(Exchange& exchange);  // charset.cc: Content-Type
// Makes the gzip filter if this response is to be compressed (gzip.cc); null otherwise. Sets
// response fields.
std::unique_ptr<BodyFilter> MakeGzipFilter(Exchange& exchange, BodyFilter* next);
// gunzip.cc: whether the body is unpacked for this client (sets response fields), and what does it.
bool Unpacks(Exchange& exchange);
std::unique_ptr<BodyFilter> MakeGunzipFilter(Exchange& exchange, BodyFilter* next);
// sub_filter.cc: whether the body is one whose texts are replaced (sets response fields), and what
// does it; null if there is nothing to look for.
bool ChangesText(Exchange& exchange);
std::unique_ptr<BodyFilter> MakeSubFilter(Exchange& exchange, BodyFilter* next);
// 103 of an upstream, if early_hints lets it through (early_hints.cc).
void PassEarlyHints(Exchange& exchange, const proto::ResponseHead& head);

// --- Response head of an upstream (proxy_headers.cc, proxy_rewrite.cc) ---
// proxy_redirect on Location and Refresh; proxy_cookie_domain, _path and _flags on Set-Cookie. The
// new value, in the arena; nullopt: unchanged.
std::optional<std::string_view> RewriteLocationField(Exchange& exchange, std::string_view value);
std::optional<std::string_view> RewriteRefreshField(Exchange& exchange, std::string_view value);
std::optional<std::string_view> RewriteSetCookieField(Exchange& exchange, std::string_view value);

// --- At the end ---
void WriteAccessLog(Exchange& exchange);  // access_log.cc

}  // namespace limpet::worker
