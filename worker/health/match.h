// Whether an answer to a health check is a good one. Pure.
#pragma once

#include <string>
#include <string_view>

#include "conf/health_check.h"
#include "proto/http1/message.h"

namespace limpet::worker {

struct ProbeResult {
  std::string_view failed_in;  // what was being done, as the log says it; "": the peer is well
  std::string detail;          // " (111: Connection refused)", or ""
  bool ours = false;           // it was not asked: says nothing about the peer
  bool good() const { return failed_in.empty(); }
};

// What the answer failed in: "checking status code". `match` null: any status from 200 to 399. A
// regular expression that gives up makes a bad answer of any, with `!~`, too.
ProbeResult JudgeHead(const conf::Match* match, const proto::ResponseHead& head);
ProbeResult JudgeBody(const conf::Match& match, std::string_view body);

}  // namespace limpet::worker
