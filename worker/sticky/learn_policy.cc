#include "worker/sticky/learn_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "shm/session_quota.h"
#include "worker/sticky/home_id.h"
#include "worker/sticky/shared_sessions.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kPlacesEveryMs = 1000;  // between two tries to get places for servers
constexpr uint64_t kTickMs = 100;          // of the table: a use sooner than that changes nothing

class LearnPolicy final : public StickyPolicy, public SessionCounts {
 public:
  LearnPolicy(const conf::Sticky& conf, UpstreamGroup& group, const StickySessions& sessions)
      : conf_(conf.learn),
        goes_back_(conf.policy.failback != conf::SessionPolicy::Failback::kNever),
        zone_(*sessions.zone),
        group_(group),
        sessions_(*sessions.table),
        shared_(sessions.store) {
    OnPeersChanged();
    group.set_session_counts(this);
  }

  void OnPeersChanged() override {
    peer_of_.clear();
    lacks_places_ = false;
    for (Peer& peer : group_.peers()) IndexOf(peer);
  }

  void OnStopping() override { stopping_since_ms_ = BootMs(); }

  uint64_t BoundTo(const Peer& peer) const override {
    return peer.session_index == shm::kNoPeer ? 0 : sessions_.PeerLive(peer.session_index);
  }

  Peer* Find(conf::VariableReader& request, StickyState& state) override {
    state.id = FirstOf(conf_.lookup, request);
    if (state.id.empty()) {
      state.status = StickyStatus::kNew;
      return nullptr;
    }
    if (!Fits(state.id, state.dry)) {
      state.id = {};
      state.status = StickyStatus::kMiss;
      return nullptr;
    }
    state.key = sessions_.KeyOf(state.id);
    state.has_key = true;
    shm::Found found = state.dry ? sessions_.Peek(state.key, BootMs())
                                 : sessions_.Lookup(state.key, BootMs(), false);
    if (found.result != shm::LookupResult::kHit && sessions_.has_former())
      found = FindFormer(state, found);
    state.idle_ms = static_cast<uint64_t>(found.idle.count());
    switch (found.result) {
      case shm::LookupResult::kMiss:
        if (state.dry) return FindPlaceless(state);  // what others have just said
        state.status = StickyStatus::kMiss;
        return nullptr;
      case shm::LookupResult::kExpired:
        state.status = StickyStatus::kExpired;
        return nullptr;
      case shm::LookupResult::kHit:
        break;
    }
    state.learned = state.key;
    state.has_learned = true;
    state.has_age = true;
    if (PeerOf(found.peer) == nullptr) LearnPlaces();
    state.bound = PeerOf(Hold(state, found).peer);
    state.moved_from = HomeOf(state);
    if (!state.dry) shared_.CheckIfUnsure(state);
    state.status = state.bound != nullptr ? StickyStatus::kHit : StickyStatus::kMiss;
    return state.bound;
  }

  bool Ask(const StickyState& state, StoreWait* wait) override {
    const shm::SessionKey home = goes_back_ ? HomeKey(state) : shm::SessionKey{};
    return state.has_key && shared_.Ask(state, home, goes_back_, wait);
  }

  bool confirms() const override { return shared_.on() && zone_.confirm; }

  std::string_view OnChosen(conf::VariableReader& /*request*/, StickyState& state,
                            const Peer& peer) override {
    if (state.bound == &peer) sessions_.CountUsed();
    return {};
  }

  void OnResponseHead(conf::VariableReader& request, StickyState& state,
                      const Peer& peer) override {
    if (conf_.header) LearnOrEnd(request, FirstOf(conf_.create, request), state, peer);
  }

  // What the client learns from the head must be in the table when it comes back, maybe before the
  // answer has ended. What it has brought itself is entered at the end, as in nginx, unless the
  // answer is buffered: nginx holds the head of a small one back until then.
  void OnHeadLeaves(conf::VariableReader& request, StickyState& state, const Peer& peer,
                    bool buffered) override {
    if (conf_.header) return;
    const std::string_view created = FirstOf(conf_.create, request);
    const bool moves = state.has_learned && state.bound != &peer;
    const bool is_news = !created.empty() && created != state.id;
    if (is_news || (buffered && (moves || !created.empty())) || Ends(request, state))
      LearnOrEnd(request, created, state, peer);
  }

  void OnResponseEnd(conf::VariableReader& request, StickyState& state, const Peer& peer) override {
    if (conf_.header) return;
    const std::string_view created = FirstOf(conf_.create, request);
    if (state.entered_ms == 0 || created != state.created)
      return LearnOrEnd(request, created, state, peer);
    if (BootMs() - state.entered_ms >= kTickMs) Touch(state);
  }

  std::string QuotaNote(conf::VariableReader& request) override {
    shm::SessionQuota* const quota = sessions_.quota();
    if (quota == nullptr) return {};
    const auto client = ClientOf(request);
    if (!client) return "the client's key is empty: nothing bounds its new sessions";
    const auto standing = quota->Peek(*client, Limits(), BootMs());
    if (zone_.quota > 0 && standing.sessions >= zone_.quota) {
      return fmt::format(
          "the client has {} sessions of {} that it may have: until one ends, a new "
          "one is served, and not learned",
          standing.sessions, zone_.quota);
    }
    if (zone_.new_rate > 0 && standing.excess > zone_.new_burst)
      return "the client begins sessions too fast: a new one is served now, and not learned";
    return zone_.quota == 0 ? std::string("a new session may be learned")
                            : fmt::format("the client has {} sessions of {} that it may have",
                                          standing.sessions, zone_.quota);
  }

  uint64_t timeout_ms() const override { return static_cast<uint64_t>(zone_.timeout.count()); }

  uint64_t touch_interval_ms() const override {
    return static_cast<uint64_t>(zone_.touch_interval().count());
  }

  // The session that was looked up, until the answer gives another in its place.
  void Touch(const StickyState& state) override {
    if (!state.has_learned) return;
    const Peer* const keeper = state.keeper != nullptr ? state.keeper : state.bound;
    if (state.only_stored) return shared_.RenewPlaceless(state.learned, *keeper);
    shared_.Touch(sessions_, state.learned, keeper);
    if (state.moved_from != nullptr) sessions_.Touch(HomeKey(state), BootMs());
  }

 private:
  static std::string_view FirstOf(const std::vector<conf::Template>& templates,
                                  conf::VariableReader& request) {
    for (const conf::Template& text : templates) {
      if (const std::string_view value = text.Evaluate(request); !value.empty()) return value;
    }
    return {};
  }

  // One that was learned under an earlier key of the zone is brought under the present one. Where
  // its server has gone, that is where it is served.
  shm::Found FindFormer(StickyState& state, const shm::Found& here) {
    if (shared_.HasHeardOf(state.key)) return here;
    const shm::Found former = sessions_.FindFormer(state.id, BootMs());
    if (former.result != shm::LookupResult::kHit) return here;
    const Peer* const peer = PeerOf(former.peer);
    state.only_former = peer == nullptr;
    if (state.dry || peer == nullptr) return former;
    const auto idle = static_cast<uint64_t>(former.idle.count());
    const uint64_t now = BootMs();
    sessions_.LearnUsed(state.key, former.peer, now - std::min(now, idle), now);
    shared_.Offer(state.key, *peer, idle);
    return former;
  }

  // What the store alone knows sticks as well, and is its to remember.
  Peer* FindPlaceless(StickyState& state) const {
    state.bound = PeerOf(shared_.PlacelessAt(state.key));
    state.only_stored = state.bound != nullptr;
    state.status = state.only_stored ? StickyStatus::kHit : StickyStatus::kMiss;
    if (!state.only_stored) return nullptr;
    state.learned = state.key;
    state.has_learned = true;
    return state.bound;
  }

  void KeepPlaceless(StickyState& state, const Peer& keeper) const {
    state.keeper = &keeper;
    if (&keeper == state.bound) return shared_.RenewPlaceless(state.learned, keeper);
    shared_.Tell(state.learned, keeper, shm::LearnResult::kRefused, state.wait);
  }

  // As old as it is: with norefresh it ends when it would have ended.
  void BringFormer(StickyState& state, const Peer& keeper) {
    const uint64_t now = BootMs();
    const auto result = sessions_.LearnUsed(state.key, keeper.session_index,
                                            now - std::min(now, state.idle_ms), now);
    shared_.Tell(state.key, keeper, result, state.wait);
    state.only_former = false;
  }

  bool Fits(std::string_view id, bool dry = false) const {
    if (zone_.cookie_max_size == 0 || id.size() <= zone_.cookie_max_size) return true;
    if (!dry) sessions_.CountTooLong();
    return false;
  }

  bool Ends(conf::VariableReader& request, const StickyState& state) const {
    return !conf_.ends.empty() && !state.ended && state.has_key &&
           !FirstOf(conf_.ends, request).empty();
  }

  // The answer may end the session that the request brought (delete=), and begin another one.
  void LearnOrEnd(conf::VariableReader& request, std::string_view created, StickyState& state,
                  const Peer& peer) {
    if (Ends(request, state)) End(state);
    if (state.ended && (created.empty() || created == state.id)) return;
    Learn(request, created, state, peer);
  }

  void End(StickyState& state) {
    ForgetEverywhere(state.key);
    sessions_.ForgetFormer(state.id, BootMs());
    shared_.ForgetFormer(state.id);
    if (goes_back_) ForgetEverywhere(HomeKey(state));
    state.ended = true;
    GiveUp(state);
  }

  void ForgetEverywhere(const shm::SessionKey& key) const {
    sessions_.Forget(key, BootMs());
    shared_.Forget(key);
  }

  // As nginx: what `create` yields opens a session or binds it anew; failing that, the session that
  // was looked up is kept alive, at the peer that has answered.
  void Learn(conf::VariableReader& request, std::string_view created, StickyState& state,
             const Peer& peer) {
    shm::SessionKey key = state.key;
    state.created = created;
    state.entered_ms = BootMs();
    if (!created.empty()) {
      if (!Fits(created)) return GiveUp(state);
      if (!state.has_key || created != state.id) key = sessions_.KeyOf(created);
    } else if (!state.has_learned) {
      return;
    }
    const bool same = state.has_learned && key.hash == state.learned.hash;
    const Peer& keeper = same && state.temporary ? *state.bound : peer;
    if (keeper.session_index == shm::kNoPeer) TakePlaces();
    const uint16_t index = keeper.session_index;
    if (index == shm::kNoPeer || keeper.gone) return;
    const bool moves = MayMove(state);
    if (same && state.only_stored) return KeepPlaceless(state, moves ? keeper : *state.bound);
    if (same && moves && state.only_former) BringFormer(state, keeper);
    const bool alive = state.has_learned && shared_.Touch(sessions_, key, &keeper);
    if (!alive && created.empty()) return;  // one that is over is not opened again by its requests
    if (same && moves) KeepHome(state, keeper);
    if (alive && same && (!moves || state.bound == &keeper)) return;
    if (!alive && !Admits(request, key)) {
      if (state.bound == nullptr) state.status = StickyStatus::kQuota;
      return same ? void() : GiveUp(state);
    }
    const shm::LearnResult result = sessions_.Learn(key, index, BootMs());
    shared_.Tell(key, keeper, result, state.wait);
    if (result == shm::LearnResult::kCreated) ForgetHomeOf(created.empty() ? state.id : created);
    if (result == shm::LearnResult::kRefused) {
      if (state.bound == nullptr) state.status = StickyStatus::kFull;
      return same ? void() : GiveUp(state);
    }
    state.learned = key;
    state.has_learned = true;
    state.only_stored = false;
    state.keeper = &keeper;
  }

  // Whether the client may have one more session (quota=, new_rate=). One that lives already is
  // none.
  bool Admits(conf::VariableReader& request, const shm::SessionKey& key) {
    using Verdict = shm::SessionQuota::Verdict;
    shm::SessionQuota* const quota = sessions_.quota();
    if (quota == nullptr) return true;
    if (sessions_.Peek(key, BootMs()).result == shm::LookupResult::kHit) return true;
    const auto client = ClientOf(request);
    if (!client) return true;
    const Verdict verdict = quota->Admit(*client, key, Limits(), sessions_, BootMs());
    if (verdict == Verdict::kOverQuota) sessions_.CountOverQuota();
    if (verdict == Verdict::kOverRate) sessions_.CountOverRate();
    return verdict == Verdict::kAdmitted;
  }

  // None: its key is empty, and not bounded, as in limit_req. Without quota= all are one.
  std::optional<Digest128> ClientOf(conf::VariableReader& request) const {
    const std::string_view key = conf_.quota_key.Evaluate(request);
    if (key.empty() && zone_.quota > 0) return std::nullopt;
    return sessions_.quota()->ClientOf(key);
  }

  shm::SessionQuota::Limits Limits() const {
    return {.sessions = zone_.quota, .rate = zone_.new_rate, .burst = zone_.new_burst};
  }

  // A worker that ends may have an older configuration than others: where living sessions have
  // their place is theirs to say, unless that place has failed, or is unknown here and they have
  // not used the session yet: it was left over by a server that had been taken away.
  bool MayMove(const StickyState& state) const {
    if (stopping_since_ms_ == 0) return true;
    if (state.bound == nullptr) return !state.has_learned || !UsedSinceStopping(state.learned);
    return state.status == StickyStatus::kRebound && !state.bound->conf->down;
  }

  // Where idle sessions move to other servers (worker/rebalance), those that a connection holds may
  // not: one that was not used just before is used from the head on, not only when it is first
  // touched. It lives where it does once that is written down. Elsewhere, as in nginx, a session
  // whose answers give others in its place goes on ageing.
  shm::Found Hold(const StickyState& state, const shm::Found& found) const {
    const uint64_t interval = touch_interval_ms();
    Peer* const peer = PeerOf(found.peer);
    if (state.dry || peer == nullptr || interval == 0 || state.idle_ms < interval / 4) return found;
    if (group_.conf().rebalance.rate == 0 && peer->drain_move() == 0) return found;
    if (!shared_.Touch(sessions_, state.key, peer)) return found;
    const shm::Found held = sessions_.Peek(state.key, BootMs());
    return held.result == shm::LookupResult::kHit ? held : found;
  }

  bool UsedSinceStopping(const shm::SessionKey& key) const {
    const uint64_t now_ms = BootMs();
    const shm::Found found = sessions_.Peek(key, now_ms);
    return found.result == shm::LookupResult::kHit &&
           static_cast<uint64_t>(found.idle.count()) <= now_ms - stopping_since_ms_ + kTickMs;
  }

  // The answer has given another session than the one that was looked up, which ends by itself.
  static void GiveUp(StickyState& state) { state.has_learned = false; }

  // A session that has moved and may go back takes a second place in the zone, under a key of its
  // own, which tells where it came from. Both end together if it never returns.
  shm::SessionKey HomeKey(const StickyState& state) const {
    return sessions_.KeyOf(HomeIdOf(state.id));
  }

  // A session that begins came from nowhere. One that had its identifier before may have left where
  // it came from: it was forgotten, or given up by a full zone.
  void ForgetHomeOf(std::string_view id) const {
    if (!goes_back_) return;
    const shm::SessionKey home = sessions_.KeyOf(HomeIdOf(id));
    if (sessions_.Peek(home, BootMs()).result == shm::LookupResult::kHit) ForgetEverywhere(home);
  }

  // A server that is being emptied is nobody's home any more: it would not become empty.
  Peer* HomeOf(const StickyState& state) const {
    if (!goes_back_ || state.bound == nullptr) return nullptr;
    const shm::Found home = sessions_.Peek(HomeKey(state), BootMs());
    Peer* const peer = home.result == shm::LookupResult::kHit ? PeerOf(home.peer) : nullptr;
    if (peer == nullptr || peer == state.bound) return nullptr;
    if (!peer->draining()) return peer;
    if (!state.dry) ForgetEverywhere(HomeKey(state));
    return nullptr;
  }

  // The session is going to live at `keeper`.
  void KeepHome(const StickyState& state, const Peer& keeper) {
    if (!goes_back_ || state.bound == nullptr) return;
    if (state.moved_from == &keeper) {
      ForgetEverywhere(HomeKey(state));
    } else if (state.moved_from != nullptr) {
      sessions_.Touch(HomeKey(state), BootMs());
    } else if (state.bound != &keeper && !state.bound->draining()) {
      const auto result = sessions_.Learn(HomeKey(state), state.bound->session_index, BootMs());
      shared_.Tell(HomeKey(state), *state.bound, result, nullptr);
    }
  }

  Peer* PeerOf(uint16_t index) const { return index < peer_of_.size() ? peer_of_[index] : nullptr; }

  void IndexOf(Peer& peer) { SetIndex(peer, sessions_.PeerIndex(peer.server_id)); }

  // Servers that the table had no place for may have got one since, from this process or another.
  void TakePlaces() {
    const uint64_t now = BootMs();
    if (!lacks_places_ || now < next_places_ms_) return;
    next_places_ms_ = now + kPlacesEveryMs;
    ForEachWithoutPlace([this](Peer& peer) {
      if (!lacks_places_) IndexOf(peer);  // where one finds none, another does not either
    });
  }

  void LearnPlaces() {
    const uint64_t now = BootMs();
    if (!lacks_places_ || now < next_learn_ms_) return;
    next_learn_ms_ = now + kPlacesEveryMs;
    ForEachWithoutPlace([this](Peer& peer) {
      const uint16_t index = sessions_.peers().Find(peer.server_id);
      SetIndex(peer, sessions_.peers().Active(index) ? index : shm::kNoPeer);
    });
  }

  template <class Visit>
  void ForEachWithoutPlace(Visit visit) {
    lacks_places_ = false;
    for (Peer& peer : group_.peers()) {
      if (peer.session_index == shm::kNoPeer) visit(peer);
    }
  }

  void SetIndex(Peer& peer, uint16_t index) {
    peer.session_index = index;
    if (index == shm::kNoPeer) {
      lacks_places_ = true;
      return;
    }
    peer_of_.resize(std::max<size_t>(peer_of_.size(), size_t{index} + 1), nullptr);
    if (peer_of_[index] == nullptr) peer_of_[index] = &peer;
  }

  const conf::StickyLearn& conf_;
  const bool goes_back_;  // failback=
  const conf::SessionZone& zone_;
  UpstreamGroup& group_;
  shm::SessionTable& sessions_;
  SharedSessions shared_;
  uint64_t stopping_since_ms_ = 0;  // in BootMs; 0: it goes on
  bool lacks_places_ = false;       // of a peer at least: the table's list of servers was full
  uint64_t next_places_ms_ = 0;     // when another look may be worth it
  uint64_t next_learn_ms_ = 0;      // the same, at places that others have got
  std::vector<Peer*> peer_of_;      // by index in the table; null: not a peer of this group
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeLearnPolicy(const conf::Sticky& conf, UpstreamGroup& group,
                                              const StickySessions& sessions) {
  return std::make_unique<LearnPolicy>(conf, group, sessions);
}

}  // namespace limpet::worker
