#include "worker/health/group_check.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <class T>
void Add(std::atomic<T>& counter) {
  counter.fetch_add(1, kRelaxed);
}

// What is tested of an answer, for the line that says that all of it was fine.
std::string_view Tested(const ProbePlan& plan) {
  if (plan.request.empty()) return "connecting to upstream";
  if (plan.match == nullptr) return "checking status code";
  if (plan.match->body != nullptr) return "checking body";
  return plan.match->headers.empty() ? "checking status code" : "checking header";
}

}  // namespace

CheckCounter::Change CheckCounter::Count(const conf::HealthCheck& check, bool good,
                                         const Standing& standing) {
  if (good) {
    fails_ = 0;
    passes_ = std::min(passes_ + 1, check.passes);
    const bool is_news = standing.failing || standing.waiting || standing.on_trial;
    return is_news && passes_ == check.passes ? Change::kHealthy : Change::kNone;
  }
  passes_ = 0;
  fails_ = std::min(fails_ + 1, check.fails);
  const bool is_enough = standing.on_trial || fails_ == check.fails;
  return !standing.failing && is_enough ? Change::kUnhealthy : Change::kNone;
}

// One peer under this check. Holds copies of the peer's facts: the group may replace its peers.
class GroupCheck::PeerCheck {
 public:
  PeerCheck(GroupCheck& owner, const Peer& peer)
      : name(peer.name),
        state(*peer.state),
        occupant(peer.occupant),
        slow_starts(peer.conf->slow_start.count() > 0),
        owner_(owner),
        address_(peer.address),
        probe_(owner.env_.loop, owner.plan_, Callback::To<&PeerCheck::OnDone>(this)),
        next_(owner.env_.loop, Callback::To<&PeerCheck::OnTimer>(this)) {
    if (owner.check_.port != 0 && !address_.is_unix()) address_.set_port(owner.check_.port);
    probe_.Start(address_);
  }

  const std::string name;
  shm::PeerState& state;
  const uint32_t occupant;
  const bool slow_starts;
  CheckCounter counter;

  // False: what is found of it says nothing of the peer that has its place now. Under the lock.
  bool is_in_place() const { return state.occupant.load(kRelaxed) == occupant; }

 private:
  void OnTimer() { probe_.Start(address_); }
  void OnDone() {
    const conf::HealthCheck& check = owner_.check_;
    const auto jitter = static_cast<uint64_t>(check.jitter.count());
    next_.Arm(Ms(check.interval) + (jitter > 0 ? owner_.random_() % (jitter + 1) : 0));
    owner_.OnResult(*this, probe_.result());
  }

  GroupCheck& owner_;
  SocketAddress address_;
  Probe probe_;
  Timer next_;
};

GroupCheck::GroupCheck(const Env& env, UpstreamGroup& group, size_t place)
    : env_(env),
      group_(group),
      location_(*group.conf().checks[place]),
      check_(*location_.health_check),
      plan_(ProbePlan::For(location_, env.http, env.tls,
                           env.logs[static_cast<size_t>(location_.log.error_log)])),
      bit_(uint32_t{1} << place),
      random_(static_cast<uint32_t>(::getpid())) {}

GroupCheck::~GroupCheck() = default;

void GroupCheck::Sync() {
  group_.Update();
  std::map<shm::PeerState*, std::unique_ptr<PeerCheck>> gone;
  gone.swap(peers_);
  for (Peer& peer : group_.peers()) {
    if (peer.conf->down) continue;
    const auto known = gone.find(peer.state);
    if (known != gone.end() && known->second->occupant == peer.occupant &&
        known->second->name == peer.name) {
      peers_.insert(gone.extract(known));
    } else {
      peers_.emplace(peer.state, std::make_unique<PeerCheck>(*this, peer));
    }
  }
}

void GroupCheck::OnResult(PeerCheck& peer, const ProbeResult& result) {
  if (result.ours) {
    return Announce(LogLevel::kAlert, fmt::format("check was not made while {}{}{}",
                                                  result.failed_in, result.detail, Of(peer)));
  }
  const std::optional<CheckCounter::Change> change = Apply(peer, result.good());
  if (!change) return;
  if (env_.notes != nullptr) {
    env_.notes->Checked(group_.conf().name, peer.name, WallMs(),
                        fmt::format("{}{}", result.failed_in, result.detail));
  }
  const Log& log = env_.logs[static_cast<size_t>(location_.log.error_log)];
  switch (*change) {
    case CheckCounter::Change::kNone:
      if (!result.good()) {
        LIMPET_LOG(log, LogLevel::kInfo, "check failed while {}{}{}", result.failed_in,
                   result.detail, Of(peer));
      }
      return;
    case CheckCounter::Change::kUnhealthy:
      return Announce(LogLevel::kWarn, fmt::format("peer is unhealthy while {}{}{}",
                                                   result.failed_in, result.detail, Of(peer)));
    case CheckCounter::Change::kHealthy:
      return Announce(LogLevel::kNotice,
                      fmt::format("peer is healthy while {}{}", Tested(plan_), Of(peer)));
  }
}

// Under the lock, so that the place stays the peer's. Null: it is another's by now.
std::optional<CheckCounter::Change> GroupCheck::Apply(PeerCheck& peer, bool good) {
  const shm::PeerStates::Guard guard(group_.states());
  if (!peer.is_in_place()) return std::nullopt;
  Add(peer.state.probes);
  if (!good) Add(peer.state.failed_probes);
  const auto change = peer.counter.Count(check_, good, StandingOf(peer.state));
  if (change == CheckCounter::Change::kUnhealthy) SetUnhealthy(peer);
  if (change == CheckCounter::Change::kHealthy) SetHealthy(peer);
  return change;
}

CheckCounter::Standing GroupCheck::StandingOf(const shm::PeerState& state) const {
  const bool counts =
      group_.conf().persistent ? state.HasPassed() : state.HasPassedIn(generation());
  const bool is_due = check_.mandatory && !counts && (PassedBy(state) & bit_) == 0;
  return {.failing = (state.standing().failing_checks.load(kRelaxed) & bit_) != 0,
          .waiting = is_due && !state.HasPassed(),
          .on_trial = is_due && state.HasPassed()};
}

void GroupCheck::Announce(LogLevel level, const std::string& text) const {
  LIMPET_LOG(env_.logs[static_cast<size_t>(location_.log.error_log)], level, "{}", text);
  env_.alerts.Add(level, text);
}

void GroupCheck::NoteChange(const PeerCheck& peer) const {
  if (env_.notes != nullptr) env_.notes->Changed(group_.conf().name, peer.name, WallMs());
}

void GroupCheck::SetUnhealthy(PeerCheck& peer) {
  shm::PeerStanding& standing = peer.state.standing();
  const uint32_t before = standing.failing_checks.fetch_or(bit_, kRelaxed);
  if (before == 0) {
    Add(peer.state.unhealthy);
    NoteChange(peer);
  }
  standing.flags.fetch_or(shm::kPeerUnhealthy, kRelaxed);
  NoteDowntime(peer.state, true, env_.loop.NowMs());
}

// One that comes back starts slowly if it is configured to, and its old failures are forgotten.
void GroupCheck::SetHealthy(PeerCheck& peer) {
  shm::PeerState& state = peer.state;
  const uint32_t passed = PassedBy(state) | bit_;
  state.SetPassedIn(generation(), passed);
  if ((passed & MandatoryBits()) == MandatoryBits()) state.RaisePassed(generation() + 1);
  shm::PeerStanding& standing = state.standing();
  const uint32_t before = standing.failing_checks.fetch_and(~bit_, kRelaxed);
  if (before != bit_) return;
  NoteChange(peer);
  standing.fails.store(0, kRelaxed);
  if (peer.slow_starts) standing.started_ms.store(env_.loop.NowMs(), kRelaxed);
  standing.flags.fetch_and(~uint32_t{shm::kPeerUnhealthy}, kRelaxed);
  NoteDowntime(state, false, env_.loop.NowMs());
}

uint32_t GroupCheck::MandatoryBits() const {
  const auto& checks = group_.conf().checks;
  uint32_t bits = 0;
  for (size_t i = 0; i < checks.size(); ++i) {
    if (checks[i]->health_check->mandatory) bits |= uint32_t{1} << i;
  }
  return bits;
}

std::string GroupCheck::Of(const PeerCheck& peer) const {
  const std::string match =
      plan_.match != nullptr ? fmt::format(" \"{}\"", plan_.match->name) : std::string();
  return fmt::format(", health check{} of peer {} in upstream \"{}\"", match, peer.name,
                     group_.conf().name);
}

}  // namespace limpet::worker
