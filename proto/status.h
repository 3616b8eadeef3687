// Status codes and their phrases, spelled as nginx spells them: users grep for "504 Gateway
// Time-out".
#pragma once

#include <string_view>

namespace limpet::proto {

// "404 Not Found"; "" for a code nginx has no phrase for (its status line then is "HTTP/1.1 299 ",
// code and space).
std::string_view StatusText(int code);
// "Not Found"; "".
std::string_view ReasonPhrase(int code);

// Those that lead to another URL by Location.
constexpr bool IsRedirectStatus(int code) {
  return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

// Whether a response to a request with this status never has a body (RFC 9110 6.4.1); HEAD is the
// caller's business.
constexpr bool StatusHasNoBody(int code) {
  return (code >= 100 && code < 200) || code == 204 || code == 304;
}

}  // namespace limpet::proto
