// The API's JSON as tables for a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {

// `command`: its words, e.g. {"sessions", "one"}; `json`: the body of its answer.
std::string Tables(const std::vector<std::string>& command, std::string_view json);

}  // namespace limpet::worker
