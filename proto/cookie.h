// Looking things up inside cookies and queries, for $cookie_NAME, $upstream_cookie_NAME, $arg_NAME
// and the sticky policies. All compare names without regard to case, as nginx does. Nothing found
// is nullopt; found and empty is "".
#pragma once

#include <optional>
#include <string_view>

#include "proto/headers.h"

namespace limpet::proto {

// In all Cookie headers, pairs separated by ';'. The first match counts.
std::optional<std::string_view> FindCookie(const HeaderList& headers, std::string_view name);
// In all Set-Cookie headers: the value up to the first ';'.
std::optional<std::string_view> FindSetCookie(const HeaderList& headers, std::string_view name);
// In a query: "a=1&b=2". A name without '=' does not count.
std::optional<std::string_view> FindArgument(std::string_view args, std::string_view name);

}  // namespace limpet::proto
