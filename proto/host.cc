#include <algorithm>
#include <array>

#include "base/text.h"
#include "proto/target.h"

namespace limpet::proto {
namespace {

// RFC 3986 3.2.2: unreserved and sub-delims.
constexpr std::array<bool, 256> MakeHostChars() {
  std::array<bool, 256> table{};
  for (size_t c = '0'; c <= '9'; ++c) table[c] = true;
  for (size_t c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = true;
  for (const char c : std::string_view("-._~!$&'()*+,;="))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kHostChars = MakeHostChars();

// Whether nothing but these and `also` stands there, and no dot behind a dot.
bool AreHostChars(std::string_view text, char also, bool* has_upper) {
  char before = '\0';
  for (const char c : text) {
    if (c != also && !kHostChars[static_cast<unsigned char>(c)]) return false;
    if (c == '.' && before == '.') return false;
    *has_upper |= c >= 'A' && c <= 'Z';
    before = c;
  }
  return true;
}

// "" or ":" or ":digits" up to 65535; nginx takes a stray colon.
bool ParsePort(std::string_view text, uint16_t* port) {
  *port = 0;
  if (text.empty()) return true;
  if (text[0] != ':') return false;
  uint32_t value = 0;
  for (const char c : text.substr(1)) {
    if (!IsDigit(c)) return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
    if (value > 65535) return false;
  }
  *port = static_cast<uint16_t>(value);
  return true;
}

// Where the host ends and the port begins; npos if there is no host.
size_t HostSize(std::string_view text) {
  if (!text.starts_with('[')) return std::min(text.find(':'), text.size());
  const size_t bracket = text.find(']');
  return bracket == std::string_view::npos ? bracket : bracket + 1;
}

bool IsHostName(std::string_view host, bool* has_upper) {
  if (!host.starts_with('[')) return AreHostChars(host, '%', has_upper);
  return AreHostChars(host.substr(1, host.size() - 2), ':', has_upper);
}

}  // namespace

bool ValidateHost(std::string_view text, std::string* storage, HostAndPort* out) {
  const size_t size = HostSize(text);
  if (size == std::string_view::npos) return false;
  std::string_view host = text.substr(0, size);
  bool has_upper = false;
  if (!IsHostName(host, &has_upper) || !ParsePort(text.substr(size), &out->port)) return false;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty()) return false;
  if (has_upper) {
    *storage = ToLower(host);
    host = *storage;
  }
  out->host = host;
  return true;
}

}  // namespace limpet::proto
