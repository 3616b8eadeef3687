#include "worker/status/caller.h"

#include <arpa/inet.h>

#include <string>

#include "base/text.h"
#include "proto/target.h"

namespace limpet::worker {
namespace {

bool IsAddress(std::string_view host) {
  unsigned char bytes[sizeof(in6_addr)];
  const bool six = host.starts_with('[') && host.ends_with(']');
  const std::string text(six ? host.substr(1, host.size() - 2) : host);
  return ::inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), bytes) == 1;
}

// A browser names the page's origin with every change. Its authority is written as that of the
// request, which is in Host or, before it, in an absolute target.
bool IsOwnOrigin(const Caller& caller) {
  using proto::HeaderId;
  if (!caller.headers.Has(HeaderId::kOrigin)) return true;
  constexpr std::string_view kSlashes = "://";
  const std::string_view origin = caller.headers.Value(HeaderId::kOrigin);
  const size_t slashes = origin.find(kSlashes);
  if (caller.headers.Count(HeaderId::kOrigin) != 1 || slashes == std::string_view::npos)
    return false;
  std::string storage;
  proto::HostAndPort own;
  return proto::ValidateHost(origin.substr(slashes + kSlashes.size()), &storage, &own) &&
         own.host == caller.host && own.port == caller.port;
}

// In any line, and in any item of one: a browser sends one word, whoever sends more hides one.
bool IsCrossSite(const proto::HeaderList& headers) {
  for (const proto::Header& header : headers) {
    if (!EqualsIgnoreCase(header.name, "Sec-Fetch-Site")) continue;
    for (const std::string_view item : Split(header.value, ',')) {
      if (EqualsIgnoreCase(TrimSpaces(item), "cross-site")) return true;
    }
  }
  return false;
}

}  // namespace

std::string_view RefuseCaller(const Caller& caller) {
  // Only what is no browser names no host.
  if (!caller.host.empty() && !caller.is_our_name && caller.host != "localhost" &&
      !IsAddress(caller.host))
    return "the request's Host is neither an address nor localhost nor a \"server_name\"";
  if (!caller.changes) return {};
  if (IsCrossSite(caller.headers))
    return "a page of another site may change nothing here (Sec-Fetch-Site)";
  if (!IsOwnOrigin(caller))
    return "a page of another origin may change nothing here: Origin and Host differ";
  return {};
}

}  // namespace limpet::worker
