#include "worker/status/caller.h"

#include <arpa/inet.h>

#include <string>

#include "base/text.h"

namespace limpet::worker {
namespace {

bool IsAddress(std::string_view host) {
  unsigned char bytes[sizeof(in6_addr)];
  const bool six = host.starts_with('[') && host.ends_with(']');
  const std::string text(six ? host.substr(1, host.size() - 2) : host);
  return ::inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), bytes) == 1;
}

// A browser names the page's origin with every change. Its authority is written as in Host.
bool IsOwnOrigin(const proto::HeaderList& headers) {
  using proto::HeaderId;
  if (!headers.Has(HeaderId::kOrigin)) return true;
  constexpr std::string_view kSlashes = "://";
  const std::string_view origin = headers.Value(HeaderId::kOrigin);
  const size_t slashes = origin.find(kSlashes);
  return headers.Count(HeaderId::kOrigin) == 1 && slashes != std::string_view::npos &&
         EqualsIgnoreCase(origin.substr(slashes + kSlashes.size()), headers.Value(HeaderId::kHost));
}

}  // namespace

std::string_view RefuseCaller(const Caller& caller) {
  // Only what is no browser names no host.
  if (!caller.host.empty() && !caller.is_our_name && caller.host != "localhost" &&
      !IsAddress(caller.host))
    return "the request's Host is neither an address nor localhost nor a \"server_name\"";
  if (!caller.changes) return {};
  const proto::Header* site = caller.headers.Find("Sec-Fetch-Site");
  if (site != nullptr && EqualsIgnoreCase(site->value, "cross-site"))
    return "a page of another site may change nothing here (Sec-Fetch-Site)";
  if (!IsOwnOrigin(caller.headers))
    return "a page of another origin may change nothing here: Origin and Host differ";
  return {};
}

}  // namespace limpet::worker
