// The type-length-values of PROXY protocol version 2, by the names that nginx's variables give
// them.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "proto/proxy_protocol.h"

namespace limpet::proto {
namespace {

struct TlvName {
  std::string_view name;
  unsigned type;
};

constexpr unsigned kSsl = 0x20;
constexpr size_t kSslFixed = 5;  // client flags, 4 bytes of verify result
constexpr std::array kNames = {TlvName{"alpn", 0x01}, TlvName{"authority", 0x02},
                               TlvName{"unique_id", 0x05}, TlvName{"ssl", kSsl},
                               TlvName{"netns", 0x30}};
constexpr std::array kSslNames = {TlvName{"version", 0x21}, TlvName{"cn", 0x22},
                                  TlvName{"cipher", 0x23}, TlvName{"sig_alg", 0x24},
                                  TlvName{"key_alg", 0x25}};

unsigned Byte(std::string_view bytes, size_t i) { return static_cast<unsigned char>(bytes[i]); }

std::optional<std::string_view> Lookup(std::string_view tlvs, unsigned type) {
  while (tlvs.size() >= 3) {
    const size_t size = Byte(tlvs, 1) << 8 | Byte(tlvs, 2);
    if (tlvs.size() - 3 < size) return std::nullopt;
    if (Byte(tlvs, 0) == type) return tlvs.substr(3, size);
    tlvs.remove_prefix(3 + size);
  }
  return std::nullopt;
}

std::optional<unsigned> ParseHexType(std::string_view name) {
  if (!name.starts_with("0x") || name.size() < 3) return std::nullopt;
  unsigned type = 0;
  for (const char c : name.substr(2)) {
    const int value = HexValue(c);
    if (value < 0) return std::nullopt;
    type = type * 16 + static_cast<unsigned>(value);
    if (type > 0xFF) return std::nullopt;  // a type is one byte; zeros may stand before it
  }
  return type;
}

template <size_t N>
std::optional<unsigned> TypeOf(std::string_view name, const std::array<TlvName, N>& names) {
  if (const auto type = ParseHexType(name)) return type;
  const auto row =
      std::find_if(names.begin(), names.end(), [name](const TlvName& t) { return t.name == name; });
  return row == names.end() ? std::nullopt : std::optional(row->type);
}

std::optional<std::string> FindSsl(std::string_view tlvs, std::string_view name) {
  const std::optional<std::string_view> ssl = Lookup(tlvs, kSsl);
  if (!ssl || ssl->size() < kSslFixed) return std::nullopt;
  if (name == "verify") {
    return std::to_string(Byte(*ssl, 1) << 24 | Byte(*ssl, 2) << 16 | Byte(*ssl, 3) << 8 |
                          Byte(*ssl, 4));
  }
  const std::optional<unsigned> type = TypeOf(name, kSslNames);
  return type ? std::optional<std::string>(Lookup(ssl->substr(kSslFixed), *type)) : std::nullopt;
}

}  // namespace

bool IsTlvName(std::string_view name) {
  if (!name.starts_with("ssl_")) return TypeOf(name, kNames).has_value();
  name.remove_prefix(4);
  return name == "verify" || TypeOf(name, kSslNames).has_value();
}

std::optional<std::string> FindTlv(const ProxyInfo& info, std::string_view name) {
  if (name.starts_with("ssl_")) return FindSsl(info.tlvs, name.substr(4));
  const std::optional<unsigned> type = TypeOf(name, kNames);
  return type ? std::optional<std::string>(Lookup(info.tlvs, *type)) : std::nullopt;
}

}  // namespace limpet::proto
