#include "proto/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/socket_address.h"
#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kV1Start = "PROXY ";
constexpr size_t kV2Fixed = 16;  // signature, version and command, family and transport, length

bool IsPrefixOf(std::string_view data, std::string_view whole) {
  const size_t n = std::min(data.size(), whole.size());
  return data.substr(0, n) == whole.substr(0, n);
}

unsigned ReadU16(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[i]));
  };
  return byte(at) << 8 | byte(at + 1);
}

std::string_view TakeWord(std::string_view* text) {
  const size_t end = std::min(text->find(' '), text->size());
  const std::string_view word = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return word;
}

bool TakeAddress(std::string_view* text, int family, std::string* out) {
  const std::string_view word = TakeWord(text);
  const Result<SocketAddress> address = SocketAddress::ParseIp(word, 0);
  if (!address || address->family() != family || word.starts_with('[')) return false;
  *out = word;
  return true;
}

bool TakePort(std::string_view* text, uint16_t* out) {
  const std::optional<uint64_t> port = ParseDecimal(TakeWord(text));
  if (!port || *port > 65535) return false;
  *out = static_cast<uint16_t>(*port);
  return true;
}

// The line behind "PROXY ", without its CRLF.
bool ParseV1Line(std::string_view line, ProxyInfo* info) {
  if (line.starts_with("UNKNOWN")) return true;  // whatever follows is to be ignored
  const std::string_view protocol = TakeWord(&line);
  if (protocol != "TCP4" && protocol != "TCP6") return false;
  if (line.ends_with(' ')) return false;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  info->has_addresses = TakeAddress(&line, family, &info->source) &&
                        TakeAddress(&line, family, &info->destination) &&
                        TakePort(&line, &info->source_port) &&
                        TakePort(&line, &info->destination_port) && line.empty();
  return info->has_addresses;
}

ProxyStatus ParseV1(std::string_view data, ProxyInfo* info, size_t* consumed) {
  const size_t end = data.substr(0, kMaxProxyV1).find('\n');
  if (end == std::string_view::npos) {
    return data.size() < kMaxProxyV1 ? ProxyStatus::kIncomplete : ProxyStatus::kError;
  }
  const std::string_view line = data.substr(0, end);
  if (!line.ends_with('\r') || line.find('\r') + 1 != line.size()) return ProxyStatus::kError;
  if (!ParseV1Line(line.substr(kV1Start.size(), end - 1 - kV1Start.size()), info))
    return ProxyStatus::kError;
  *consumed = end + 1;
  return ProxyStatus::kComplete;
}

// From network order; 4 bytes or 16.
std::string FormatAddress(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

// Source and destination address, then both ports, then TLVs.
bool ReadV2Addresses(std::string_view body, size_t address_size, ProxyInfo* info) {
  const size_t size = 2 * address_size + 4;
  if (body.size() < size) return false;
  info->source = FormatAddress(body.substr(0, address_size));
  info->destination = FormatAddress(body.substr(address_size, address_size));
  info->source_port = static_cast<uint16_t>(ReadU16(body, 2 * address_size));
  info->destination_port = static_cast<uint16_t>(ReadU16(body, 2 * address_size + 2));
  info->tlvs = body.substr(size);
  info->has_addresses = true;
  return true;
}

ProxyStatus ParseV2(std::string_view data, ProxyInfo* info, size_t* consumed) {
  if (data.size() < kV2Fixed) return ProxyStatus::kIncomplete;
  const auto version_command = static_cast<unsigned char>(data[12]);
  const auto family_transport = static_cast<unsigned char>(data[13]);
  if (version_command >> 4 != 2 || (version_command & 15) > 1) return ProxyStatus::kError;
  const size_t size = ReadU16(data, 14);
  if (data.size() < kV2Fixed + size) return ProxyStatus::kIncomplete;
  *consumed = kV2Fixed + size;

  const bool is_proxy =
      (version_command & 15) == 1;  // else LOCAL: a health check of the balancer itself
  const bool is_stream = (family_transport & 15) == 1;
  if (!is_proxy || !is_stream) return ProxyStatus::kComplete;
  const std::string_view body = data.substr(kV2Fixed, size);
  switch (family_transport >> 4) {
    case 1:
      return ReadV2Addresses(body, 4, info) ? ProxyStatus::kComplete : ProxyStatus::kError;
    case 2:
      return ReadV2Addresses(body, 16, info) ? ProxyStatus::kComplete : ProxyStatus::kError;
    default:
      return ProxyStatus::kComplete;  // unspecified, Unix
  }
}

}  // namespace

ProxyStatus ParseProxyHeader(std::string_view data, ProxyInfo* info, size_t* consumed) {
  *info = {};
  if (IsPrefixOf(data, kSignature)) {
    return data.size() < kSignature.size() ? ProxyStatus::kIncomplete
                                           : ParseV2(data, info, consumed);
  }
  if (!IsPrefixOf(data, kV1Start)) return ProxyStatus::kError;
  return data.size() < kV1Start.size() ? ProxyStatus::kIncomplete : ParseV1(data, info, consumed);
}

}  // namespace limpet::proto
