// Getters of the built-in variables, by what they tell of; only variables.cc puts them into its
// table. Each returns a value that lives at least as long as the exchange.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "conf/variables.h"
#include "proto/headers.h"
#include "worker/http/exchange/exchange.h"
#include "worker/tls/peer_certificate.h"

namespace limpet::worker {

template <class... Args>
conf::Value Formatted(Exchange& exchange, fmt::format_string<Args...> format, Args&&... args) {
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
  return conf::Value::Of(exchange.arena().Copy({text.data(), text.size()}));
}

inline conf::Value TextOrNone(std::string_view text) {
  return text.empty() ? conf::Value::None() : conf::Value::Of(text);
}

// "12.345", as all times in variables are shown.
conf::Value SecondsOf(Exchange& exchange, int64_t ms);

// All values of the fields named `suffix` (lower case, _ for -), joined by `separator`.
conf::Value JoinFields(Exchange& exchange, const proto::HeaderList& fields, std::string_view suffix,
                       std::string_view separator);

// variables_request.cc
conf::Value GetArgs(Exchange& exchange);
conf::Value GetContentLength(Exchange& exchange);
conf::Value GetContentType(Exchange& exchange);
conf::Value GetHttp2(Exchange& exchange);
conf::Value GetHost(Exchange& exchange);
conf::Value GetIsArgs(Exchange& exchange);
conf::Value GetIsRequestPort(Exchange& exchange);
conf::Value GetLimitConnStatus(Exchange& exchange);
conf::Value GetLimitReqStatus(Exchange& exchange);
conf::Value GetRemoteUser(Exchange& exchange);
conf::Value GetRequest(Exchange& exchange);
conf::Value GetRequestBody(Exchange& exchange);
conf::Value GetRequestBodyFile(Exchange& exchange);
conf::Value GetRequestId(Exchange& exchange);
conf::Value GetRequestLength(Exchange& exchange);
conf::Value GetRequestMethod(Exchange& exchange);
conf::Value GetRequestPort(Exchange& exchange);
conf::Value GetRequestTime(Exchange& exchange);
conf::Value GetRequestUri(Exchange& exchange);
conf::Value GetServerName(Exchange& exchange);
conf::Value GetServerProtocol(Exchange& exchange);
conf::Value GetUri(Exchange& exchange);

// variables_connection.cc
conf::Value GetBinaryRemoteAddr(Exchange& exchange);
conf::Value GetConnection(Exchange& exchange);
conf::Value GetConnectionRequests(Exchange& exchange);
conf::Value GetConnectionTime(Exchange& exchange);
conf::Value GetHttps(Exchange& exchange);
conf::Value GetPipe(Exchange& exchange);
conf::Value GetProxyAddXForwardedFor(Exchange& exchange);
conf::Value GetProxyProtocolAddr(Exchange& exchange);
conf::Value GetProxyProtocolPort(Exchange& exchange);
conf::Value GetProxyProtocolServerAddr(Exchange& exchange);
conf::Value GetProxyProtocolServerPort(Exchange& exchange);
conf::Value GetProxyProtocolTlv(Exchange& exchange, std::string_view name);
conf::Value GetRealipRemoteAddr(Exchange& exchange);
conf::Value GetRealipRemotePort(Exchange& exchange);
conf::Value GetRemoteAddr(Exchange& exchange);
conf::Value GetRemotePort(Exchange& exchange);
conf::Value GetScheme(Exchange& exchange);
conf::Value GetServerAddr(Exchange& exchange);
conf::Value GetServerPort(Exchange& exchange);
conf::Value GetTcpinfoRcvSpace(Exchange& exchange);
conf::Value GetTcpinfoRtt(Exchange& exchange);
conf::Value GetTcpinfoRttvar(Exchange& exchange);
conf::Value GetTcpinfoSndCwnd(Exchange& exchange);

// variables_tls.cc
conf::Value GetSslAlpnProtocol(Exchange& exchange);
conf::Value GetSslCipher(Exchange& exchange);
conf::Value GetSslProtocol(Exchange& exchange);
conf::Value GetSslServerName(Exchange& exchange);
conf::Value GetSslSessionId(Exchange& exchange);
conf::Value GetSslSessionReused(Exchange& exchange);
conf::Value GetSslCiphers(Exchange& exchange);
conf::Value GetSslCurve(Exchange& exchange);
conf::Value GetSslCurves(Exchange& exchange);
conf::Value GetSslEarlyData(Exchange& exchange);
conf::Value GetSslSigalg(Exchange& exchange);
conf::Value GetSslSigalgs(Exchange& exchange);
conf::Value GetSslClientSigalg(Exchange& exchange);
template <CertificateField kField>
conf::Value GetSslClient(Exchange& exchange);  // every field is there

// variables_process.cc
conf::Value GetConnectionsActive(Exchange& exchange);
conf::Value GetConnectionsReading(Exchange& exchange);
conf::Value GetConnectionsWaiting(Exchange& exchange);
conf::Value GetConnectionsWriting(Exchange& exchange);
conf::Value GetDateGmt(Exchange& exchange);
conf::Value GetDateLocal(Exchange& exchange);
conf::Value GetHostname(Exchange& exchange);
conf::Value GetMsec(Exchange& exchange);
conf::Value GetNginxVersion(Exchange& exchange);
conf::Value GetPid(Exchange& exchange);
conf::Value GetTimeIso8601(Exchange& exchange);
conf::Value GetTimeLocal(Exchange& exchange);

// variables_response.cc
conf::Value GetBodyBytesSent(Exchange& exchange);
conf::Value GetBytesSent(Exchange& exchange);
conf::Value GetGzipRatio(Exchange& exchange);
conf::Value GetLimitRate(Exchange& exchange);
conf::Value GetRequestCompletion(Exchange& exchange);
conf::Value GetSentHeader(Exchange& exchange, std::string_view suffix);
conf::Value GetSentTrailer(Exchange& exchange, std::string_view suffix);
conf::Value GetStatus(Exchange& exchange);

// variables_path.cc
conf::Value GetDocumentRoot(Exchange& exchange);
conf::Value GetRealpathRoot(Exchange& exchange);
conf::Value GetRequestFilename(Exchange& exchange);

// variables_upstream.cc
conf::Value GetProxyHost(Exchange& exchange);
conf::Value GetProxyPort(Exchange& exchange);
conf::Value GetStickyAge(Exchange& exchange);
conf::Value GetStickyServer(Exchange& exchange);
conf::Value GetStickyStatus(Exchange& exchange);
conf::Value GetUpstreamAddr(Exchange& exchange);
conf::Value GetUpstreamBytesReceived(Exchange& exchange);
conf::Value GetUpstreamBytesSent(Exchange& exchange);
conf::Value GetUpstreamConnectTime(Exchange& exchange);
conf::Value GetUpstreamCookie(Exchange& exchange, std::string_view name);
conf::Value GetUpstreamHeader(Exchange& exchange, std::string_view suffix);
conf::Value GetUpstreamHeaderTime(Exchange& exchange);
conf::Value GetUpstreamLastServerName(Exchange& exchange);
conf::Value GetUpstreamResponseLength(Exchange& exchange);
conf::Value GetUpstreamResponseTime(Exchange& exchange);
conf::Value GetUpstreamStatus(Exchange& exchange);
conf::Value GetUpstreamStickyStatus(Exchange& exchange);
conf::Value GetUpstreamTrailer(Exchange& exchange, std::string_view suffix);

}  // namespace limpet::worker
