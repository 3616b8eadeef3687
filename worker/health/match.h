// Whether an answer to a health check is a good one. Pure.
#pragma once

#include <string_view>

#include "conf/health_check.h"
#include "proto/http1/message.h"

namespace limpet::worker {

// What the answer failed in, in the words of the log: "checking status code". "": it is good.
// `match` null: any status from 200 to 399.
std::string_view JudgeHead(const conf::Match* match, const proto::ResponseHead& head);
std::string_view JudgeBody(const conf::Match& match, std::string_view body);

}  // namespace limpet::worker
