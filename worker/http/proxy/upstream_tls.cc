#include "worker/http/proxy/upstream_tls.h"

#include <fmt/core.h>

#include "base/hash.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/runtime.h"
#include "worker/upstream/peer.h"

namespace limpet::worker {
namespace {

std::string_view WithoutPort(std::string_view host) {
  const size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  return host.substr(0, host.find(':', bracket == std::string_view::npos ? 0 : bracket));
}

// The key may be the key itself (data:): only a digest of it is kept.
std::string IdentityOf(std::string_view certificate, std::string_view key) {
  const auto digest = Sha256(fmt::format("{}:{}{}", certificate.size(), certificate, key));
  return {digest.begin(), digest.end()};
}

}  // namespace

TlsTarget MakeTlsTarget(Exchange& exchange, std::string_view proxy_host, const Peer& peer) {
  Runtime& runtime = exchange.runtime();
  const conf::ProxySettings& proxy = exchange.location().proxy;
  TlsTarget target;
  target.context =
      runtime.upstream_tls != nullptr ? runtime.upstream_tls->For(exchange.location()) : nullptr;
  if (target.context == nullptr) return target;
  target.name = WithoutPort(proxy.ssl_name ? exchange.Evaluate(*proxy.ssl_name) : proxy_host);
  target.send_name = proxy.ssl_server_name;
  target.scope =
      fmt::format("{} {}{} {}:{}", peer.name, runtime.upstream_tls->NumberOf(*target.context),
                  target.send_name ? "n" : "", target.name.size(), target.name);
  if (proxy.ssl_session_reuse) target.sessions = &runtime.upstream_sessions;
  if (proxy.ssl_certificate_varies()) {
    // What has been said to be one client's is no other's, and it takes both to say it.
    target.scope += IdentityOf(exchange.Evaluate(proxy.ssl_certificate),
                               exchange.Evaluate(proxy.ssl_certificate_key));
  }
  return target;
}

bool ChooseClientCertificate(Exchange& exchange, TlsTarget* target) {
  const conf::ProxySettings& proxy = exchange.location().proxy;
  if (!proxy.ssl_certificate_varies()) return true;
  const std::string_view name = exchange.Evaluate(proxy.ssl_certificate);
  if (name.empty()) return true;
  const std::string_view key = exchange.Evaluate(proxy.ssl_certificate_key);
  if (IsUnsafePath(exchange, name, proxy.ssl_certificate.source()) ||
      IsUnsafePath(exchange, key, proxy.ssl_certificate_key.source()))
    return false;
  auto pair = exchange.runtime().certificates.Get({
      .certificate = name,
      .key = key,
      .cache = proxy.ssl_certificate_cache.get(),
      .passwords = &target->context->passwords(),
  });
  if (pair) {
    target->certificate = std::move(*pair);
    return true;
  }
  exchange.Log(LogLevel::kError, pair.error().message + " while connecting to upstream");
  return false;
}

}  // namespace limpet::worker
