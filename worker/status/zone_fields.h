// The words of status zones as pages name them, in the order of Angie's tree.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "conf/status_zone.h"
#include "shm/status_zone.h"

namespace limpet::worker {

struct ZoneField {
  conf::StatusZoneKind kind;
  std::string_view group;  // the object of the tree that it stands in; "": the zone itself
  std::string_view name;
  size_t word;
  std::string_view metric;  // after limpet_; "": it is none
  std::string_view labels;  // after that of the zone
  std::string_view help;    // of the metric, whose rows stand together: in the first of them
};

inline constexpr std::string_view kResponses = "responses";

inline constexpr std::array kZoneFields = [] {
  using K = conf::StatusZoneKind;
  using R = shm::RequestCount;
  using L = shm::LimitCount;
  using D = shm::ResolverCount;
  constexpr K kS = K::kServer, kL = K::kLocation, kR = K::kLimitReq, kC = K::kLimitConn,
              kD = K::kResolver;
  constexpr std::string_view kTls = "server_zone_handshakes", kReq = "limit_req_requests",
                             kConn = "limit_conn_requests", kAsked = "resolver_queries",
                             kSent = "resolver_sent", kCame = "resolver_responses";
  return std::to_array<ZoneField>({
      {kS, "ssl", "handshaked", R::kHandshaked, kTls, R"(,result="handshaked")",
       "TLS handshakes of the server's zone, by how they ended"},
      {kS, "ssl", "reuses", R::kReused, "", "", ""},
      {kS, "ssl", "timedout", R::kTimedOut, kTls, R"(,result="timedout")", ""},
      {kS, "ssl", "failed", R::kFailed, kTls, R"(,result="failed")", ""},
      {kS, "requests", "total", R::kRequests, "server_zone_requests", "",
       "requests to servers of the zone"},
      {kS, "requests", "processing", R::kProcessing, "server_zone_processing", "",
       "requests to servers of the zone that are under way"},
      {kS, "requests", "discarded", R::kDiscarded, "server_zone_discarded", "",
       "requests to servers of the zone that ended without an answer"},
      {kS, "data", "received", R::kReceived, "server_zone_received_bytes", "",
       "bytes of requests to servers of the zone"},
      {kS, "data", "sent", R::kSent, "server_zone_sent_bytes", "",
       "bytes of answers by servers of the zone"},
      {kL, "requests", "total", R::kRequests, "location_zone_requests", "",
       "requests that ended in locations of the zone"},
      {kL, "requests", "discarded", R::kDiscarded, "location_zone_discarded", "",
       "requests that ended in locations of the zone without an answer"},
      {kL, "data", "received", R::kReceived, "location_zone_received_bytes", "",
       "bytes of requests that ended in locations of the zone"},
      {kL, "data", "sent", R::kSent, "location_zone_sent_bytes", "",
       "bytes of answers by locations of the zone"},
      {kC, "", "passed", L::kPassed, kConn, R"(,result="passed")",
       "requests judged by limit_conn, by verdict"},
      {kC, "", "skipped", L::kSkipped, kConn, R"(,result="skipped")", ""},
      {kC, "", "rejected", L::kRejected, kConn, R"(,result="rejected")", ""},
      {kC, "", "exhausted", L::kExhausted, kConn, R"(,result="exhausted")", ""},
      {kR, "", "passed", L::kPassed, kReq, R"(,result="passed")",
       "requests judged by limit_req, by verdict"},
      {kR, "", "skipped", L::kSkipped, kReq, R"(,result="skipped")", ""},
      {kR, "", "delayed", L::kDelayed, kReq, R"(,result="delayed")", ""},
      {kR, "", "rejected", L::kRejected, kReq, R"(,result="rejected")", ""},
      {kR, "", "exhausted", L::kExhausted, kReq, R"(,result="exhausted")", ""},
      {kD, "queries", "name", D::kNames, kAsked, R"(,type="name")",
       "names and services that were asked for"},
      {kD, "queries", "srv", D::kServices, kAsked, R"(,type="srv")", ""},
      {kD, "queries", "addr", D::kAddresses, "", "", ""},
      {kD, "sent", "a", D::kA, kSent, R"(,type="a")", "questions sent to name servers"},
      {kD, "sent", "aaaa", D::kAaaa, kSent, R"(,type="aaaa")", ""},
      {kD, "sent", "srv", D::kSrv, kSent, R"(,type="srv")", ""},
      {kD, "sent", "ptr", D::kPtr, "", "", ""},
      {kD, kResponses, "success", D::kSuccess, kCame, R"(,result="success")",
       "what came of names and services that were asked for"},
      {kD, kResponses, "timedout", D::kTimedOut, kCame, R"(,result="timedout")", ""},
      {kD, kResponses, "format_error", D::kFormatError, kCame, R"(,result="format_error")", ""},
      {kD, kResponses, "server_failure", D::kServerFailure, kCame, R"(,result="server_failure")",
       ""},
      {kD, kResponses, "not_found", D::kNotFound, kCame, R"(,result="not_found")", ""},
      {kD, kResponses, "unimplemented", D::kUnimplemented, kCame, R"(,result="unimplemented")", ""},
      {kD, kResponses, "refused", D::kRefused, kCame, R"(,result="refused")", ""},
      {kD, kResponses, "other", D::kOther, kCame, R"(,result="other")", ""},
  });
}();

inline bool HasCodes(conf::StatusZoneKind kind) {
  return kind == conf::StatusZoneKind::kServer || kind == conf::StatusZoneKind::kLocation;
}

}  // namespace limpet::worker
