// What the log is told of a file that is shorter than it was when its way to the client began.
#pragma once

#include <string_view>

namespace limpet::worker {

inline constexpr std::string_view kFileCut = "a file has been cut while it was sent";

}  // namespace limpet::worker
