// expires: the Expires and Cache-Control fields. Pure but for ApplyExpires.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conf/response.h"

namespace limpet::worker {

class Exchange;

// The value that a variable gave: "epoch", "max", "off", "@15h30m", "24h", "-1". With `modified`
// only a time is allowed.
std::optional<conf::Expires> ParseExpires(std::string_view text, bool modified);

struct ExpiresFields {
  std::string expires;
  std::string cache_control;
};

// The fields for a response at `now` (wall seconds) whose file or upstream says `last_modified`
// (-1: nothing).
ExpiresFields ComputeExpires(const conf::Expires& rule, int64_t now, int64_t last_modified);

// The next time that the local day is `seconds` old.
int64_t NextTimeOfDay(int64_t now, int64_t seconds);

void ApplyExpires(Exchange& exchange);

}  // namespace limpet::worker
