// JSON that somebody else has written: what a caller of the API or of the control socket sends.
#pragma once

#include <string_view>

#include "base/result.h"
#include "worker/status/json_parts.h"

namespace limpet::worker {

// Strict: no byte order mark, nothing behind the value (a NUL neither), no two equal keys in an
// object, and no deeper than any of our requests needs: the value may be copied and written. `what`
// is what an error names: "the body".
Result<Json> ParseJson(std::string_view text, std::string_view what = "the body");

}  // namespace limpet::worker
