#include "worker/tls/handshake_certificates.h"

#include <fmt/core.h>

#include "base/clock.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

// nginx counts these times in whole seconds, and so a second may be nearly two.
int64_t NowSeconds() { return static_cast<int64_t>(MonotonicMs() / 1000); }

int64_t Seconds(conf::Ms time) { return time.count() / 1000; }

}  // namespace

std::string HandshakeCertificates::FullName(TlsObjectKind kind, std::string_view name) const {
  const bool complete = name.starts_with('/') || !IsFile(kind, name);
  return complete ? std::string(name) : folder_ + std::string(name);
}

Result<TlsPair> HandshakeCertificates::Get(const Names& names) {
  auto pair = GetPair(names, Trust::kCached);
  if (!pair || pair->Fits()) return pair;
  // One of the two may have been kept from before both were changed.
  pair = GetPair(names, Trust::kFresh);
  if (!pair || pair->Fits()) return pair;
  return TlsError(fmt::format("SSL_use_PrivateKey(\"{}\") failed", names.key));
}

Result<TlsPair> HandshakeCertificates::GetPair(const Names& names, Trust trust) {
  const auto chain = GetObject(TlsObjectKind::kChain, names.certificate, names, trust);
  if (!chain) return chain.error();
  const auto key = GetObject(TlsObjectKind::kKey, names.key, names, trust);
  if (!key) return key.error();
  return TlsPair{*chain, *key};
}

Result<TlsObjectPtr> HandshakeCertificates::GetObject(TlsObjectKind kind, std::string_view name,
                                                      const Names& names, Trust trust) {
  static const TlsPasswords kNoPasswords;
  const Key key{kind, FullName(kind, name)};
  Cache* const cache = names.cache != nullptr ? &caches_[names.cache] : nullptr;
  if (cache != nullptr) {
    if (trust == Trust::kCached) {
      if (TlsObjectPtr kept = FindValid(*cache, *names.cache, key)) return kept;
    }
    Forget(*cache, key);
  }
  const FileStamp stamp = IsFile(kind, key.second) ? FileStamp::Of(key.second) : FileStamp();
  PemFiles files;  // wipes what it has read
  auto loaded =
      files.Load(kind, key.second, names.passwords != nullptr ? *names.passwords : kNoPasswords);
  if (!loaded) return CannotLoad(kind, key.second, loaded.error());
  // A key that a password protects on disk is not to lie open in memory.
  if (cache != nullptr && !(*loaded)->encrypted) {
    const int64_t now_s = NowSeconds();
    Keep(*cache, *names.cache, {key, *loaded, stamp, now_s, now_s});
  }
  return *loaded;
}

// Null: it is not there, or what it was made from has changed.
TlsObjectPtr HandshakeCertificates::FindValid(Cache& cache, const conf::TlsCertificateCache& limits,
                                              const Key& key) {
  const auto place = cache.places.find(key);
  if (place == cache.places.end()) return nullptr;
  Kept& kept = *place->second;
  const int64_t now_s = NowSeconds();
  if (!key.second.starts_with(conf::kTlsData) && now_s - kept.looked_s > Seconds(limits.valid)) {
    const FileStamp stamp = FileStamp::Of(key.second);
    if (!stamp.exists() || stamp != kept.stamp) return nullptr;
    kept.looked_s = now_s;
  }
  kept.used_s = now_s;
  cache.order.splice(cache.order.begin(), cache.order, place->second);
  return kept.object;
}

void HandshakeCertificates::Forget(Cache& cache, const Key& key) {
  const auto place = cache.places.find(key);
  if (place == cache.places.end()) return;
  cache.order.erase(place->second);
  cache.places.erase(place);
}

void HandshakeCertificates::Keep(Cache& cache, const conf::TlsCertificateCache& limits, Kept kept) {
  const auto is_over = [&](const Kept& last) {
    return cache.order.size() >= limits.max || kept.used_s - last.used_s > Seconds(limits.inactive);
  };
  while (!cache.order.empty() && is_over(cache.order.back())) {
    cache.places.erase(cache.order.back().key);
    cache.order.pop_back();
  }
  cache.order.push_front(std::move(kept));
  cache.places[cache.order.front().key] = cache.order.begin();
}

}  // namespace limpet::worker
