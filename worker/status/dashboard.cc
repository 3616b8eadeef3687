#include "worker/status/dashboard.h"

#include <array>

#include "base/hash.h"
#include "base/text.h"
#include "proto/escape.h"

namespace limpet::worker {

extern const std::string_view kDashboardHtml;  // dashboard.html, by cmake/embed.cmake

namespace {

void Replace(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

std::string Nonce() {
  std::array<unsigned char, 16> bytes{};
  RandomBytes(bytes.data(), bytes.size());
  return HexLower(bytes.data(), bytes.size());
}

}  // namespace

Dashboard MakeDashboard(std::string_view api) {
  Dashboard page;
  page.html = kDashboardHtml;
  std::string escaped;
  proto::AppendEscaped(&escaped, api, proto::EscapeKind::kHtml);
  if (!escaped.ends_with('/')) escaped += '/';
  const std::string nonce = Nonce();
  Replace(page.html, "@API@", escaped);
  Replace(page.html, "@NONCE@", nonce);
  page.policy = "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
                "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'";
  return page;
}

}  // namespace limpet::worker
