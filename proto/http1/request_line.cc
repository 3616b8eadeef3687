#include "proto/http1/request_line.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr bool IsMethodChar(char c) { return (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; }

constexpr bool IsAlpha(char c) { return AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z'; }

constexpr std::array<bool, 256> MakeTargetChars() {
  std::array<bool, 256> table{};
  for (size_t c = 0x21; c < 256; ++c) table[c] = c != 0x7F;
  return table;
}
constexpr std::array<bool, 256> kTargetChars = MakeTargetChars();

size_t SkipSpaces(std::string_view line, size_t i) {
  while (i < line.size() && line[i] == ' ') ++i;
  return i;
}

// The first character tells the form; ParseTarget looks at the rest.
bool BeginsTarget(char c, Method method) {
  if (method == Method::kConnect) return IsAlpha(c) || IsDigit(c) || c == '[';
  return c == '/' || IsAlpha(c) || (c == '*' && method == Method::kOptions);
}

// "HTTP/1.1" and what nginx takes for it: one or more digits on both sides, at most three behind
// the dot.
LineError ParseVersion(std::string_view text, RequestHead* head) {
  head->protocol = text;
  if (text == "HTTP/1.1" || text == "HTTP/1.0") {
    head->version_major = 1;
    head->version_minor = text.back() - '0';
    return LineError::kNone;
  }
  if (!text.starts_with("HTTP/")) return LineError::kRequest;
  text.remove_prefix(5);
  if (text.empty() || text[0] < '1' || text[0] > '9') return LineError::kRequest;
  if (text[0] != '1' || (text.size() > 1 && IsDigit(text[1]))) return LineError::kVersion;
  if (text.size() < 3 || text.size() > 5 || text[1] != '.') return LineError::kRequest;
  const std::optional<uint64_t> minor = ParseDecimal(text.substr(2));
  if (!minor) return LineError::kRequest;
  head->version_major = 1;
  head->version_minor = static_cast<int>(*minor);
  return LineError::kNone;
}

}  // namespace

LineError ParseRequestLine(std::string_view line, RequestHead* head) {
  head->request_line = line;
  size_t i = 0;
  while (i < line.size() && IsMethodChar(line[i])) ++i;
  if (i == 0 || i == line.size() || line[i] != ' ') return LineError::kMethod;
  head->method_name = line.substr(0, i);
  head->method = LookupMethod(head->method_name);

  const size_t target = SkipSpaces(line, i);
  if (target == line.size() || !BeginsTarget(line[target], head->method))
    return LineError::kRequest;
  i = target;
  while (i < line.size() && kTargetChars[static_cast<unsigned char>(line[i])]) ++i;
  if (i < line.size() && line[i] != ' ') return LineError::kRequest;
  head->target = line.substr(target, i - target);

  const size_t version = SkipSpaces(line, i);
  if (version == line.size()) {
    // HTTP/0.9 knows paths only: "GET HTTP/1.1" is a request of today that lacks its target.
    if (head->target[0] != '/') return LineError::kRequest;
    head->version_major = 0;
    head->version_minor = 9;
    return head->method == Method::kGet ? LineError::kNone : LineError::kHttp09Method;
  }
  const size_t end = line.find_last_not_of(' ') + 1;
  return ParseVersion(line.substr(version, end - version), head);
}

bool CanBecomeRequestLine(std::string_view beginning) {
  const auto end = std::find_if_not(beginning.begin(), beginning.end(), IsMethodChar);
  return end == beginning.end() || (end != beginning.begin() && *end == ' ');
}

}  // namespace limpet::proto
