// Escaping and unescaping, with the character sets that nginx uses, so that rewritten URIs and logs
// look as users know.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace limpet::proto {

enum class EscapeKind : uint8_t {
  kUri,           // a path: space, #, %, ?, and what RFC 3986 forbids
  kArgs,          // a value in a query: also &, +, ;
  kUriComponent,  // all but unreserved characters
  kRedirect,  // a whole URI that is already escaped: only what may never stand in one (no %, #, ?)
  kLine,      // a whole URI that becomes part of a head: what would end its place (controls, space,
              // DEL)
  kHtml,      // &lt; &gt; &amp; &quot;
  kJson,      // \" \\ \n \u001F
  kLog,       // access log: \x22 for ", \ and everything outside printable ASCII
};

std::string EscapeUri(std::string_view text, EscapeKind kind);
void AppendEscaped(std::string* out, std::string_view text, EscapeKind kind);
bool NeedsEscape(std::string_view text, EscapeKind kind);

// Decodes %XX; a broken one is kept as nginx keeps it (the percent sign is dropped).
std::string Unescape(std::string_view text);
// Decodes %XX up to the first '?' (literal or decoded), the rest stays: a path from configuration
// or a rewrite.
std::string UnescapeUri(std::string_view text);
// For redirects: leaves everything that could break a header or change the URI's meaning (up to
// '%', above 0x7E) encoded.
std::string UnescapeRedirect(std::string_view text);

}  // namespace limpet::proto
