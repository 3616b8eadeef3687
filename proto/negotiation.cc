#include "proto/negotiation.h"

#include <algorithm>

#include "base/text.h"

namespace limpet::proto {
namespace {

std::string_view TakeElement(std::string_view* list) {
  const size_t comma = std::min(list->find(','), list->size());
  const std::string_view element = TrimSpaces(list->substr(0, comma));
  list->remove_prefix(std::min(comma + 1, list->size()));
  return element;
}

// A qvalue (RFC 9110 12.4.2) that is valid and above zero.
bool IsPositiveQuality(std::string_view q) {
  if (q.empty() || q.size() > 5 || (q[0] != '0' && q[0] != '1')) return false;
  if (q.size() == 1) return q[0] == '1';
  if (q[1] != '.') return false;
  const std::string_view digits = q.substr(2);
  if (!std::all_of(digits.begin(), digits.end(), IsDigit)) return false;
  const bool zero = digits.find_first_not_of('0') == std::string_view::npos;
  return q[0] == '1' ? zero : !zero;
}

std::string_view WithoutWeak(std::string_view tag, EtagCompare compare) {
  if (compare == EtagCompare::kWeak && tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

}  // namespace

bool AcceptsGzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    std::string_view element = TakeElement(&accept_encoding);
    const size_t semicolon = element.find(';');
    if (!EqualsIgnoreCase(TrimSpaces(element.substr(0, semicolon)), "gzip")) continue;
    if (semicolon == std::string_view::npos) return true;
    element = TrimSpaces(element.substr(semicolon + 1));
    if (element.empty()) return true;
    return StartsWithIgnoreCase(element, "q=") && IsPositiveQuality(element.substr(2));
  }
  return false;
}

bool EtagListMatches(std::string_view list, std::string_view etag, EtagCompare compare) {
  if (list == "*") return true;
  if (etag.empty()) return false;
  // A weak tag equals nothing in a strong comparison; nginx compares the bytes, and only its own
  // tags reach this.
  const std::string_view wanted = WithoutWeak(etag, compare);
  while (!list.empty()) {
    if (WithoutWeak(TakeElement(&list), compare) == wanted) return true;
  }
  return false;
}

}  // namespace limpet::proto
