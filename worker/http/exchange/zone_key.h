// Keys by which zones tell requests apart: of limit_req, limit_conn and status_zone.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "conf/template.h"

namespace limpet::worker {

class Exchange;

// The value of the key; nothing if it is empty, or longer than `most` bytes, which the log is told
// at that level: then the zone takes no notice of the request.
std::optional<std::string_view> KeyOf(Exchange& exchange, const conf::Template& key, size_t most,
                                      LogLevel level);

}  // namespace limpet::worker
