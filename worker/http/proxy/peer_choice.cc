#include "worker/http/proxy/peer_choice.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "worker/sticky/session_plan.h"

namespace limpet::worker {
namespace {

using Kind = PeerChoice::Kind;

class Chooser {
 public:
  Chooser(UpstreamRuntime& upstream, PeerSelection& selection, StickyState& sticky, uint64_t now)
      : upstream_(upstream), selection_(selection), sticky_(sticky), now_ms_(now) {}

  PeerChoice Choose() {
    if (Peer* home = GoHome()) return {Kind::kPeer, home};
    if (Peer* leader = Follow()) return {Kind::kPeer, leader};
    const conf::Sticky& conf = upstream_.group.conf().sticky;
    // Between a look at the session's server and its use another worker may take the last place.
    for (int look = 0; look < 2; ++look) {
      const SessionPlan plan = PlanSession(conf, Home());
      sticky_.temporary = plan.action == SessionAction::kStandIn;
      switch (plan.action) {
        case SessionAction::kUseHome:
          if (Peer* peer = UseHome(conf)) return {Kind::kPeer, peer};
          continue;
        case SessionAction::kWait:
        case SessionAction::kRefuse:
          return WaitOrRefuse(plan);
        case SessionAction::kBalance:
          return Balance(plan.status);
        case SessionAction::kStandIn:
          return StandIn(conf, plan.status);
      }
    }
    return Balance(StickyStatus::kBusy);
  }

 private:
  PeerCondition Condition(const Peer& peer) const {
    return upstream_.group.Condition(selection_, peer, true, now_ms_);
  }

  // A session belongs to a server id: another server with the same id may stand in.
  PeerCondition ConditionOfHome() {
    PeerSet& peers = *selection_.set;
    home_ = peers.Own(sticky_.bound);
    if (home_ == nullptr) return PeerCondition::kDown;  // its name gives it no more
    const PeerCondition condition = Condition(*home_);
    if (condition == PeerCondition::kReady) return condition;
    const auto twin = std::ranges::find_if(peers.peers, [this](const Peer& peer) {
      return peer.server_id == home_->server_id && Condition(peer) == PeerCondition::kReady;
    });
    if (twin == peers.peers.end()) return condition;
    home_ = &*twin;
    return PeerCondition::kReady;
  }

  HomeState Home() {
    if (sticky_.bound == nullptr) {
      const bool named =
          sticky_.has_learned || (!sticky_.id.empty() && !sticky_.has_key && !sticky_.is_void);
      return named ? HomeState::kUnknown : HomeState::kNone;
    }
    switch (ConditionOfHome()) {
      case PeerCondition::kReady:
        return HomeState::kReady;
      case PeerCondition::kFull:
        return HomeState::kFull;
      case PeerCondition::kDown:
        return HomeState::kDown;
      case PeerCondition::kDrained:
        return HomeState::kDrained;
    }
    return HomeState::kDown;
  }

  // The server that a moved session came from, if it is time to go back there.
  Peer* GoHome() {
    if (sticky_.moved_from == nullptr) return nullptr;
    const conf::SessionPolicy& policy = upstream_.group.conf().sticky.policy;
    if (!ReturnsHome(policy, sticky_.idle_ms, upstream_.sticky->timeout_ms())) return nullptr;
    Peer* const home = upstream_.group.TryPeer(selection_, sticky_.moved_from, now_ms_);
    if (home == nullptr) return nullptr;
    sticky_.temporary = false;
    sticky_.status = StickyStatus::kRebound;
    return home;
  }

  Peer* Follow() {
    if (sticky_.bound != nullptr || sticky_.leader == nullptr) return nullptr;
    Peer* const leader = selection_.set->Own(sticky_.leader);
    if (leader == nullptr) return nullptr;
    Peer* const peer = upstream_.group.TryPeer(selection_, leader, now_ms_);
    if (peer != nullptr) sticky_.status = StickyStatus::kJoined;
    return peer;
  }

  // nginx leaves a backup as soon as a primary can have the request, sticky or not; so do we unless
  // the configuration says what is to happen to sessions.
  Peer* UseHome(const conf::Sticky& conf) {
    using Policy = conf::SessionPolicy;
    const Policy& policy = conf.policy;
    const bool as_nginx = !conf.strict && policy.on_down == Policy::Down::kRebind &&
                          policy.on_busy == Policy::Busy::kRebind;
    Peer* const peer = as_nginx ? upstream_.group.Choose(selection_, sticky_.bound, now_ms_)
                                : upstream_.group.TryPeer(selection_, home_, now_ms_);
    if (peer == nullptr) return nullptr;
    const bool is_home = peer->server_id == sticky_.bound->server_id;
    const StickyStatus at_home = sticky_.asked ? StickyStatus::kAsked : StickyStatus::kHit;
    sticky_.status = is_home ? at_home : StickyStatus::kRebound;
    return peer;
  }

  PeerChoice WaitOrRefuse(const SessionPlan& plan) {
    sticky_.status = plan.status;
    if (plan.action == SessionAction::kWait) return {Kind::kWait};
    return {.code = plan.code, .by_policy = true};
  }

  // The same server for all requests of the session, whoever chooses it.
  PeerChoice StandIn(const conf::Sticky& conf, StickyStatus status) {
    const UpstreamGroup& group = upstream_.group;
    const Peer& home = *sticky_.bound;
    const std::string_view session = sticky_.sealed ? home.server_id : sticky_.id;
    Peer* peer = group.StandIn(selection_, session, home, false, now_ms_);
    if (peer != nullptr && IsFull(*peer)) {
      const SessionPlan plan = PlanFullStandIn(conf);
      if (plan.action != SessionAction::kStandIn) return WaitOrRefuse(plan);
      peer = group.StandIn(selection_, session, home, true, now_ms_);
    }
    sticky_.status = status;
    if (peer != nullptr && upstream_.group.TryPeer(selection_, peer, now_ms_) != nullptr)
      return {Kind::kPeer, peer};
    return Balance(status);
  }

  bool IsFull(const Peer& peer) const {
    return upstream_.group.Condition(selection_, peer, false, now_ms_) == PeerCondition::kFull;
  }

  PeerChoice Balance(StickyStatus status) {
    if (status != StickyStatus::kNone) sticky_.status = status;
    const bool may_wait = upstream_.group.conf().queue.limit > 0;
    std::optional<PeerSelection> before;  // the method begins anew after a wait
    if (may_wait) before = selection_;
    if (Peer* peer = upstream_.group.Choose(selection_, sticky_.bound, now_ms_))
      return {Kind::kPeer, peer};
    if (!may_wait || !upstream_.group.AnyFull(*before, now_ms_)) return {};
    selection_ = *std::move(before);
    return {Kind::kWait};
  }

  UpstreamRuntime& upstream_;
  PeerSelection& selection_;
  StickyState& sticky_;
  const uint64_t now_ms_;
  Peer* home_ = nullptr;
};

}  // namespace

PeerChoice ChoosePeer(UpstreamRuntime& upstream, PeerSelection& selection, StickyState& sticky,
                      uint64_t now_ms) {
  return Chooser(upstream, selection, sticky, now_ms).Choose();
}

}  // namespace limpet::worker
