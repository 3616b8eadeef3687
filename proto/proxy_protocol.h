// The PROXY protocol, versions 1 (text) and 2 (binary): who the client behind a load balancer is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace limpet::proto {

// What a PROXY header told. Owns its bytes: it lives as long as the connection.
struct ProxyInfo {
  // False for UNKNOWN, LOCAL and families other than IPv4 and IPv6 over TCP.
  bool has_addresses = false;
  std::string source;  // address text as sent (v1) or formatted (v2): $proxy_protocol_addr
  std::string destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  std::string tlvs;  // v2: the raw type-length-values behind the addresses
};

enum class ProxyStatus : uint8_t { kIncomplete, kComplete, kError };

inline constexpr size_t kMaxProxyV1 = 107;

// Reads the header at the start of `data`. Incremental: kIncomplete asks for more bytes, with
// `data` from the start.
ProxyStatus ParseProxyHeader(std::string_view data, ProxyInfo* info, size_t* consumed);

// $proxy_protocol_tlv_NAME: alpn, authority, unique_id, ssl, netns, ssl_version, ssl_cn,
// ssl_cipher, ssl_sig_alg, ssl_key_alg, ssl_verify, 0xNN and ssl_0xNN. Nothing if it is absent or
// broken.
std::optional<std::string> FindTlv(const ProxyInfo& info, std::string_view name);
// Whether NAME is one that can be asked for.
bool IsTlvName(std::string_view name);

}  // namespace limpet::proto
