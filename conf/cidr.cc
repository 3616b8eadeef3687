#include <array>
#include <cstring>

#include "base/text.h"
#include "conf/access.h"

namespace limpet::conf {
namespace {

constexpr int kMaxV4 = 32;
constexpr int kMaxV6 = 128;
constexpr std::string_view kMappedPrefix("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);  // ::ffff:0:0/96

// The first `bits` bits of both are the same.
bool SameBits(std::string_view a, std::string_view b, int bits) {
  const auto bytes = static_cast<size_t>(bits) / 8;
  if (a.substr(0, bytes) != b.substr(0, bytes)) return false;
  const int rest = bits % 8;
  if (rest == 0) return true;
  const int mask = 0xff << (8 - rest) & 0xff;
  return ((a[bytes] ^ b[bytes]) & mask) == 0;
}

bool HasBitsBeyond(std::string_view bytes, int bits) {
  for (int i = bits; i < static_cast<int>(bytes.size()) * 8; ++i) {
    if (bytes[static_cast<size_t>(i / 8)] >> (7 - i % 8) & 1) return true;
  }
  return false;
}

SocketAddress Masked(const SocketAddress& address, int bits) {
  std::array<char, 16> bytes{};
  const std::string_view ip = address.ip_bytes();
  std::memcpy(bytes.data(), ip.data(), ip.size());
  for (int i = bits; i < static_cast<int>(ip.size()) * 8; ++i) {
    bytes[static_cast<size_t>(i / 8)] =
        static_cast<char>(bytes[static_cast<size_t>(i / 8)] & ~(1 << (7 - i % 8)));
  }
  SocketAddress out = address;
  if (address.family() == AF_INET) {
    std::memcpy(&reinterpret_cast<sockaddr_in*>(out.get())->sin_addr, bytes.data(), ip.size());
  } else {
    std::memcpy(&reinterpret_cast<sockaddr_in6*>(out.get())->sin6_addr, bytes.data(), ip.size());
  }
  return out;
}

// "255.255.0.0" as 16; nothing if it has holes.
std::optional<int> MaskBits(std::string_view text) {
  const Result<SocketAddress> mask = SocketAddress::ParseIp(text, 0);
  if (!mask || mask->family() != AF_INET) return std::nullopt;
  int bits = 0;
  while (bits < kMaxV4 &&
         HasBitsBeyond(mask->ip_bytes().substr(static_cast<size_t>(bits) / 8), bits % 8) &&
         (mask->ip_bytes()[static_cast<size_t>(bits / 8)] >> (7 - bits % 8) & 1)) {
    ++bits;
  }
  return HasBitsBeyond(mask->ip_bytes(), bits) ? std::nullopt : std::optional(bits);
}

std::optional<int> PrefixBits(std::string_view text, int family) {
  const auto n = ParseDecimal(text);
  if (n && *n <= static_cast<uint64_t>(family == AF_INET ? kMaxV4 : kMaxV6))
    return static_cast<int>(*n);
  return n || family != AF_INET ? std::nullopt : MaskBits(text);
}

}  // namespace

bool Cidr::Contains(const SocketAddress& address) const {
  if (address.is_unix() || network.is_unix()) return false;
  std::string_view ip = address.ip_bytes();
  if (network.family() == AF_INET && address.family() == AF_INET6 &&
      ip.starts_with(kMappedPrefix)) {
    ip.remove_prefix(kMappedPrefix.size());
  }
  const std::string_view mine = network.ip_bytes();
  return ip.size() == mine.size() && SameBits(ip, mine, bits);
}

Result<Cidr> Cidr::Parse(std::string_view text, bool* had_host_bits) {
  const size_t slash = text.find('/');
  const Result<SocketAddress> address = SocketAddress::ParseIp(text.substr(0, slash), 0);
  if (!address) return InvalidArgument("invalid network");
  Cidr cidr;
  cidr.bits = address->family() == AF_INET ? kMaxV4 : kMaxV6;
  if (slash != std::string_view::npos) {
    const std::optional<int> bits = PrefixBits(text.substr(slash + 1), address->family());
    if (!bits) return InvalidArgument("invalid network");
    cidr.bits = *bits;
  }
  if (had_host_bits) *had_host_bits = HasBitsBeyond(address->ip_bytes(), cidr.bits);
  cidr.network = Masked(*address, cidr.bits);
  return cidr;
}

}  // namespace limpet::conf
