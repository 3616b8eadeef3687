#include "worker/sticky/signed_cookie_policy.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/text.h"
#include "conf/host_port.h"
#include "worker/sticky/cookie_seal.h"
#include "worker/sticky/cookie_text.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

constexpr int64_t kRenewals = 10;  // in the time of a value, at most

int64_t Seconds(conf::Ms time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

// How long a client keeps the cookie, if that is shorter than `ttl`. Where only a request's
// variables say it: 0.
int64_t KeptFor(const conf::StickyCookie& conf) {
  int64_t kept = Seconds(conf.ttl);
  if (conf.expires) kept = std::min(kept, Seconds(*conf.expires));
  for (const conf::StickyCookie::Attribute& other : conf.others) {
    const bool is_age = EqualsIgnoreCase(other.name, "max-age");
    if (!other.value.is_constant() && (is_age || other.name.empty())) return 0;
    if (!is_age) continue;
    const auto age = ParseDecimal(other.value.constant());
    kept = age ? std::min(kept, static_cast<int64_t>(std::min<uint64_t>(*age, INT32_MAX))) : 0;
  }
  return kept;
}

uint64_t MarkOf(const Peer& peer) {
  const auto name = conf::ParseHostPort(peer.server, peer.conf->port, false);
  const bool is_address =
      !name || name->is_unix || static_cast<bool>(SocketAddress::ParseIp(name->host, 0));
  return ServerMark(peer.server_id, !peer.conf->route.empty(),
                    is_address ? std::string_view() : std::string_view(name->host));
}

class SignedCookiePolicy final : public StickyPolicy {
 public:
  SignedCookiePolicy(const conf::StickyCookie& conf, UpstreamGroup& group)
      : conf_(conf),
        ttl_s_(Seconds(conf.ttl)),
        renew_after_s_(KeptFor(conf) / kRenewals),
        seal_(conf.keys, group.conf().name),
        group_(group) {
    OnPeersChanged();
  }

  void OnPeersChanged() override {
    peer_of_.clear();
    for (Peer& peer : group_.peers()) peer_of_.emplace(MarkOf(peer), &peer);
  }

  Peer* Find(conf::VariableReader& request, StickyState& state) override {
    state.id = conf_.lookup.Evaluate(request);
    if (state.id.empty()) {
      state.status = StickyStatus::kNew;
      return nullptr;
    }
    const auto opened = seal_.Read(state.id);
    if (!opened) {
      Void(state, StickyStatus::kMiss,
           "the cookie's value is not signed with a key of this upstream");
      return nullptr;
    }
    const CookieAge age = AgeOf(opened->ticket.end_s, Now().seconds, ttl_s_, renew_after_s_);
    if (age == CookieAge::kOver) {
      Void(state, StickyStatus::kExpired, "the cookie's time is over");
      return nullptr;
    }
    const auto found = peer_of_.find(opened->ticket.server);
    if (found == peer_of_.end()) {
      state.reason = "the cookie's server is not in this upstream";
      state.status = StickyStatus::kMiss;
      return nullptr;
    }
    state.sealed = true;
    state.renews = age == CookieAge::kDue || !opened->by_first_key;
    state.status = StickyStatus::kHit;
    return state.bound = found->second;
  }

  std::string_view OnChosen(conf::VariableReader& request, StickyState& state,
                            const Peer& peer) override {
    const Peer& home = state.temporary ? *state.bound : peer;
    const bool stays = state.bound != nullptr && state.bound->server_id == home.server_id;
    if (stays && !state.renews) return {};
    const Peer& named = stays ? *state.bound : home;
    return CookieText(conf_, request, seal_.Write({MarkOf(named), Now().seconds + ttl_s_}));
  }

 private:
  static void Void(StickyState& state, StickyStatus status, std::string_view reason) {
    state.is_void = true;
    state.status = status;
    state.reason = reason;
  }

  const conf::StickyCookie& conf_;
  const int64_t ttl_s_;
  const int64_t renew_after_s_;
  const CookieSeal seal_;
  UpstreamGroup& group_;
  std::unordered_map<uint64_t, Peer*> peer_of_;  // by mark; of a primary and its twin the primary
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeSignedCookiePolicy(const conf::StickyCookie& conf,
                                                     UpstreamGroup& group) {
  return std::make_unique<SignedCookiePolicy>(conf, group);
}

}  // namespace limpet::worker
