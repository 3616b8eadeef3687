// ?fields=: of an answer, only what was asked for.
#pragma once

#include <string_view>

#include "worker/status/json_parts.h"

namespace limpet::worker {

// `args`: the query. Without fields= all of it. With fields=server,state only members of those
// names are left, with all that is in them, at whatever depth; what holds none of them goes. Of a
// list that holds some all objects are left.
StatusReply GoodFields(Json json, std::string_view args);

}  // namespace limpet::worker
