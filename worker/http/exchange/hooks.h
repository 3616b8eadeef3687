// What an exchange asks of the rooms above it: one call each, at a named point. It is declared
// here, so that this room includes no feature, and stands with its feature. The steps of routing
// have a table of their own (steps.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "proto/http1/message.h"
#include "worker/http/exchange/response_writer.h"

namespace limpet::worker {

class Exchange;

// --- When the server is known ---
struct Refusal {
  int status = 0;  // 0: none
  std::string why;
};
Refusal CheckClientCertificate(Exchange& exchange);  // access/client_certificate.cc

// --- Whenever a location is found ---
// The request is in it from now on (route/locations.cc). One without keepalive_timeout ends the
// connection, whichever other one answers in the end.
void UseLocation(Exchange& exchange, const conf::Location& location);

// --- Error pages (route/error_page.cc) ---
// Goes where error_page says. False if the location has none for this status, or one has been taken
// already.
bool TakeErrorPage(Exchange& exchange, int status);
// Answers with the status and a built-in page; redirects carry response().location.
void ReplyWithErrorPage(Exchange& exchange, int status);
// The Server field and the name at the foot of pages.
std::string_view ServerToken(Exchange& exchange);

// --- Response head, in this order ---
// 304 and 412 (filter/conditional.cc). False: the response was replaced.
bool ApplyConditions(Exchange& exchange);
// filter/add_headers.cc: add_header, expires. False: one that protects cannot be sent as it is (CR,
// LF or NUL in its value), so the response must not be sent either, unless it is the answer to
// that.
bool AddResponseHeaders(Exchange& exchange, bool refused);
// What changes the body, in front of `last`; sets response fields (filters.cc). False: the response
// was replaced.
bool MakeBodyFilters(Exchange& exchange, BodyFilter* last, BodyChain* chain);
// The error log's line for a field that is left out of a head: its value could end its line
// (filter/add_headers.cc).
[[gnu::cold]] void LogUnfitField(const Exchange& exchange, std::string_view name);

// --- At the end ---
// Evaluates add_trailer into the response's trailers; called when the body has ended and the client
// can take trailers (filter/add_headers.cc).
void AddResponseTrailers(Exchange& exchange);
void WriteAccessLog(Exchange& exchange);  // log/access_log.cc
void CountInZones(Exchange& exchange);    // log/zone_requests.cc

}  // namespace limpet::worker
