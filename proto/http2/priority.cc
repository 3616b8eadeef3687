#include "proto/http2/priority.h"

#include <algorithm>

namespace limpet::proto {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

void Read(std::string_view member, StreamPriority* priority) {
  member = Trim(member.substr(0, member.find(';')));  // parameters are for extensions
  const bool is_urgency =
      member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7';
  if (is_urgency) priority->urgency = member[2] - '0';
  if (member == "i" || member == "i=?1") priority->incremental = true;
  if (member == "i=?0") priority->incremental = false;
}

}  // namespace

StreamPriority ParsePriority(std::string_view value) {
  StreamPriority priority;
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    Read(value.substr(0, comma), &priority);
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return priority;
}

}  // namespace limpet::proto
