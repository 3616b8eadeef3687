#include "worker/health/group_check.h"

#include <unistd.h>

#include <algorithm>

#include "base/clock.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <class T>
void Add(std::atomic<T>& counter) {
  counter.fetch_add(1, kRelaxed);
}

void Raise(std::atomic<uint32_t>& field, uint32_t value) {
  uint32_t old = field.load(kRelaxed);
  while (old < value && !field.compare_exchange_weak(old, value, kRelaxed)) {
  }
}

// What is tested of an answer, for the line that says that all of it was fine.
std::string_view Tested(const ProbePlan& plan) {
  if (plan.request.empty()) return "connecting to upstream";
  if (plan.match == nullptr) return "checking status code";
  if (plan.match->body != nullptr) return "checking body";
  return plan.match->headers.empty() ? "checking status code" : "checking header";
}

}  // namespace

CheckCounter::Change CheckCounter::Count(const conf::HealthCheck& check, bool good, bool failing,
                                         bool waiting) {
  if (good) {
    fails_ = 0;
    passes_ = std::min(passes_ + 1, check.passes);
    return (failing || waiting) && passes_ == check.passes ? Change::kHealthy : Change::kNone;
  }
  passes_ = 0;
  fails_ = std::min(fails_ + 1, check.fails);
  return !failing && fails_ == check.fails ? Change::kUnhealthy : Change::kNone;
}

// One peer under this check. Holds copies of the peer's facts: the group may replace its peers.
class GroupCheck::PeerCheck {
 public:
  PeerCheck(GroupCheck& owner, const Peer& peer)
      : name(peer.name),
        state(*peer.state),
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
  const bool slow_starts;
  CheckCounter counter;
  bool passed = false;  // a mandatory check: its place in `state` says so, too

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
    if (known != gone.end() && IsStillThere(*known->second, peer)) {
      peers_.insert(gone.extract(known));
    } else {
      peers_.emplace(peer.state, std::make_unique<PeerCheck>(*this, peer));
    }
  }
}

// One that has left and come back with its name is a new peer in its place: it has passed nothing.
bool GroupCheck::IsStillThere(const PeerCheck& known, const Peer& peer) const {
  if (known.name != peer.name) return false;
  return !known.passed || (PassedBy(*peer.state) & bit_) != 0;
}

void GroupCheck::OnResult(PeerCheck& peer, const ProbeResult& result) {
  if (result.ours) {
    return Announce(LogLevel::kAlert, fmt::format("check was not made while {}{}{}",
                                                  result.failed_in, result.detail, Of(peer)));
  }
  shm::PeerState& state = peer.state;
  Add(state.probes);
  if (!result.good()) Add(state.failed_probes);
  if (env_.notes != nullptr) {
    env_.notes->Checked(group_.conf().name, peer.name, WallMs(),
                        fmt::format("{}{}", result.failed_in, result.detail));
  }
  const bool failing = (state.standing().failing_checks.load(kRelaxed) & bit_) != 0;
  const bool in_use =
      state.checked_generation.load(kRelaxed) >= (group_.conf().persistent ? 1 : env_.generation);
  const bool waiting = check_.mandatory && !in_use && (PassedBy(state) & bit_) == 0;
  const Log& log = env_.logs[static_cast<size_t>(location_.log.error_log)];
  switch (peer.counter.Count(check_, result.good(), failing, waiting)) {
    case CheckCounter::Change::kNone:
      if (!result.good()) {
        LIMPET_LOG(log, LogLevel::kInfo, "check failed while {}{}{}", result.failed_in,
                   result.detail, Of(peer));
      }
      return;
    case CheckCounter::Change::kUnhealthy:
      SetUnhealthy(peer);
      return Announce(LogLevel::kWarn, fmt::format("peer is unhealthy while {}{}{}",
                                                   result.failed_in, result.detail, Of(peer)));
    case CheckCounter::Change::kHealthy:
      SetHealthy(peer);
      return Announce(LogLevel::kNotice,
                      fmt::format("peer is healthy while {}{}", Tested(plan_), Of(peer)));
  }
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
}

// One that comes back starts slowly if it is configured to, and its old failures are forgotten.
void GroupCheck::SetHealthy(PeerCheck& peer) {
  shm::PeerState& state = peer.state;
  const uint32_t passed = PassedBy(state) | bit_;
  state.SetPassedIn(generation(), passed);
  peer.passed = true;
  if ((passed & MandatoryBits()) == MandatoryBits()) Raise(state.checked_generation, generation());
  shm::PeerStanding& standing = state.standing();
  const uint32_t before = standing.failing_checks.fetch_and(~bit_, kRelaxed);
  if (before != bit_) return;
  NoteChange(peer);
  standing.fails.store(0, kRelaxed);
  if (peer.slow_starts) standing.started_ms.store(env_.loop.NowMs(), kRelaxed);
  standing.flags.fetch_and(~uint32_t{shm::kPeerUnhealthy}, kRelaxed);
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
