// The upstream of a proxied exchange: the one of the configuration, or what a URL with variables
// names, by way of a resolver if need be.
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"

namespace limpet::worker {

bool ProxyExchange::FindUpstream() {
  const conf::ProxyPass& pass = location_->proxy.pass;
  Runtime& runtime = exchange_.runtime();
  if (!pass.has_variables) {
    upstream_ = runtime.upstreams[static_cast<size_t>(pass.upstream)].get();
    target_.host = pass.host_header;
    target_.port = pass.port;
    target_.https = pass.https;
    return true;
  }
  ByName& by_name = NeedByName();
  by_name.url = exchange_.arena().Copy(exchange_.Evaluate(pass.url));
  if (FailsMatch()) return false;
  ProxyUrl url;
  if (!ParseProxyUrl(by_name.url, &url)) {
    exchange_.Log(LogLevel::kError, fmt::format("invalid URL prefix in \"{}\"", by_name.url));
    Answer(500);
    return false;
  }
  if (url.host.starts_with("unix:") && IsUnsafePath(exchange_, url.host, pass.url.source())) {
    Answer(404);
    return false;
  }
  target_.host = url.host_header;
  target_.port = url.port;
  target_.https = url.https;
  by_name.uri = url.uri.starts_with('/') || url.uri.empty()
                    ? url.uri
                    : exchange_.arena().Concat("/", url.uri);
  upstream_ = FindUpstreamBlock(runtime, url);
  if (upstream_ != nullptr) return true;
  if (auto group = FindAddressGroup(runtime, url)) {
    UseGroup(std::move(group));
    return true;
  }
  if (PortOf(url)) return Resolve(url.host);
  exchange_.Log(LogLevel::kError, fmt::format("invalid port in upstream \"{}\"", url.authority));
  Answer(500);
  return false;
}

bool ProxyExchange::Resolve(std::string_view host) {
  Resolver* const resolver = FindResolver(exchange_.runtime(), *location_);
  if (resolver == nullptr) {
    exchange_.Log(LogLevel::kError, fmt::format("no resolver defined to resolve {}", host));
    Answer(502);
    return false;
  }
  if (by_name_->lookup.Start(*resolver, host)) return UseResolved();
  Enter(ProxyState::kResolving);
  return false;
}

ProxyExchange::ByName& ProxyExchange::NeedByName() {
  if (by_name_ == nullptr) by_name_ = std::make_unique<ByName>(this);
  return *by_name_;
}

void ProxyExchange::OnResolved() {
  if (UseResolved()) ReadBodyOrGo();
}

bool ProxyExchange::UseResolved() {
  ProxyUrl url;
  ParseProxyUrl(by_name_->url, &url);
  const ResolveAnswer& answer = by_name_->lookup.answer();
  if (answer.error != ResolveError::kNone) {
    FailResolving(url.host, answer.error);
    return false;
  }
  UseGroup(FindResolvedGroup(exchange_.runtime(), url, answer));
  return true;
}

void ProxyExchange::UseGroup(std::shared_ptr<UrlGroup> group) {
  upstream_ = &group->upstream();
  by_name_->held.push_back(std::move(group));
}

void ProxyExchange::FailResolving(std::string_view host, ResolveError error) {
  exchange_.Log(LogLevel::kError, fmt::format("{} could not be resolved ({}: {})", host,
                                              static_cast<int>(error), Name(error)));
  Answer(502);
}

}  // namespace limpet::worker
