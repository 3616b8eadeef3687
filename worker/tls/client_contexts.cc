#include "worker/tls/client_contexts.h"

#include "conf/all_locations.h"
#include "conf/place.h"

namespace limpet::worker {
namespace {

conf::TlsClientSettings SettingsOf(const conf::SessionStore& store) {
  conf::TlsClientSettings settings;
  settings.verify = store.tls.verify;
  settings.trusts_system = store.tls.trusted_certificate.empty();
  settings.verify_depth = 10;
  settings.trusted_certificate = store.tls.trusted_certificate;
  settings.certificate = store.tls.certificate;
  settings.certificate_key = store.tls.certificate_key;
  return settings;
}

}  // namespace

Result<std::unique_ptr<TlsClientContexts>> TlsClientContexts::Load(const conf::Config& config,
                                                                   PemFiles& files) {
  auto contexts = std::make_unique<TlsClientContexts>();
  for (const conf::Location* location : conf::AllLocations(*config.http)) {
    if (Status status = contexts->Add(*location, files); !status)
      return conf::WithServersPlace(config, *location->server, status.error());
  }
  for (const conf::SessionStore& store : config.http->session_stores) {
    if (!store.tls.on) continue;
    if (Status status = contexts->Add(SettingsOf(store), files); !status) return status.error();
  }
  return contexts;
}

Status TlsClientContexts::Add(const conf::Location& location, PemFiles& files) {
  const conf::ProxyPass& pass = location.proxy.pass;
  if (!pass.set || (!pass.https && !pass.has_variables)) return {};
  return Add(location.proxy.tls, files);
}

Status TlsClientContexts::Add(const conf::TlsClientSettings& settings, PemFiles& files) {
  if (Find(settings) != nullptr) return {};
  auto context = TlsContext::ForUpstream(settings, files);
  if (!context) return context.error();
  entries_.push_back({settings, std::move(*context)});
  return {};
}

const TlsClientContexts::Entry* TlsClientContexts::Find(
    const conf::TlsClientSettings& settings) const {
  for (const Entry& entry : entries_) {
    if (entry.settings == settings) return &entry;
  }
  return nullptr;
}

const TlsContext* TlsClientContexts::For(const conf::Location& location) const {
  const Entry* entry = Find(location.proxy.tls);
  return entry != nullptr ? entry->context.get() : nullptr;
}

const TlsContext* TlsClientContexts::For(const conf::SessionStore& store) const {
  const Entry* entry = Find(SettingsOf(store));
  return entry != nullptr ? entry->context.get() : nullptr;
}

int TlsClientContexts::NumberOf(const TlsContext& context) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].context.get() == &context) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace limpet::worker
