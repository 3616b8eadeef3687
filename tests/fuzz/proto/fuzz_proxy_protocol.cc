// A PROXY protocol header and its TLVs.
#include <cstdlib>

#include "proto/proxy_protocol.h"

using namespace limpet::proto;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  ProxyInfo info;
  size_t consumed = 0;
  if (ParseProxyHeader(data, &info, &consumed) != ProxyStatus::kComplete) return 0;
  if (consumed > size) std::abort();
  for (const char* name : {"authority", "ssl_verify", "ssl_cn", "0xEA"}) FindTlv(info, name);
  return 0;
}
