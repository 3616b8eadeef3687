// A PROXY protocol header and its TLVs.
#include "proto/proxy_protocol.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet::proto;

FUZZ_TARGET(proxy_protocol, input) {
  ProxyInfo info;
  size_t consumed = 0;
  if (ParseProxyHeader(input, &info, &consumed) != ProxyStatus::kComplete) return;
  FUZZ_CHECK(consumed > 0 && consumed <= input.size(), "it ends behind the bytes");
  for (const char* name : {"authority", "ssl_verify", "ssl_cn", "0xEA"}) FindTlv(info, name);
}
