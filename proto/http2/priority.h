// The Priority field of RFC 9218: how urgent a response is, and whether parts of it are of use.
#pragma once

#include <string_view>

namespace limpet::proto {

struct StreamPriority {
  int urgency = 3;           // 0, the most urgent, to 7
  bool incremental = false;  // shares with others of its urgency
  friend bool operator==(const StreamPriority&, const StreamPriority&) = default;
};

// What cannot be understood says nothing (RFC 9218 4).
StreamPriority ParsePriority(std::string_view value);

}  // namespace limpet::proto
