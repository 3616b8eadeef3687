#include "proto/cookie.h"

#include <algorithm>

#include "base/text.h"

namespace limpet::proto {
namespace {

std::string_view SkipSpaces(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

// The value if `pair` is "name = value"; spaces only around '='.
std::optional<std::string_view> ValueOf(std::string_view pair, std::string_view name) {
  if (!StartsWithIgnoreCase(pair, name)) return std::nullopt;
  pair = SkipSpaces(pair.substr(name.size()));
  if (!pair.starts_with('=')) return std::nullopt;
  return SkipSpaces(pair.substr(1));
}

}  // namespace

std::optional<std::string_view> FindCookie(const HeaderList& headers, std::string_view name) {
  if (!headers.Has(HeaderId::kCookie)) return std::nullopt;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kCookie) continue;
    for (std::string_view rest = header.value; !rest.empty();) {
      const size_t end = std::min(rest.find(';'), rest.size());
      if (const auto value = ValueOf(rest.substr(0, end), name)) return value;
      rest = SkipSpaces(rest.substr(std::min(end + 1, rest.size())));
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> FindSetCookie(const HeaderList& headers, std::string_view name) {
  if (!headers.Has(HeaderId::kSetCookie)) return std::nullopt;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kSetCookie) continue;
    if (const auto value = ValueOf(header.value.substr(0, header.value.find(';')), name))
      return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> FindArgument(std::string_view args, std::string_view name) {
  if (name.empty()) return std::nullopt;
  while (!args.empty()) {
    const size_t end = std::min(args.find('&'), args.size());
    const std::string_view pair = args.substr(0, end);
    if (pair.size() > name.size() && pair[name.size()] == '=' && StartsWithIgnoreCase(pair, name)) {
      return pair.substr(name.size() + 1);
    }
    args.remove_prefix(std::min(end + 1, args.size()));
  }
  return std::nullopt;
}

}  // namespace limpet::proto
