// The API's JSON as tables for a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/status/json_parts.h"

namespace limpet::worker {

// `command`: its words, e.g. {"sessions", "one"}; `json`: the body of its answer.
std::string Tables(const std::vector<std::string>& command, std::string_view json);

// Of tables_more.cc: what is no table of one kind of thing. Each takes the body of an answer.
std::string SessionText(const Json& session);
std::string ExplainText(const Json& said);
std::string ZonesText(const Json& zones);
std::string AlertsText(const Json& body);
std::string ChangedText(std::string_view upstream, const Json& peer);  // and what is left there

}  // namespace limpet::worker
