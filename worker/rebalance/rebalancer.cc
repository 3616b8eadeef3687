#include "worker/rebalance/rebalancer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace limpet::worker {
namespace {

constexpr uint64_t kStepMs = 100;
constexpr int64_t kLongestStepMs = 200;    // what was not used for longer is not saved up
constexpr uint64_t kLookMs = 1000;         // at loads that are even
constexpr uint32_t kSlotsPerPiece = 512;   // a few microseconds
constexpr uint32_t kPiecesPerStep = 32;    // a quarter of a millisecond
constexpr uint64_t kRestMs = 1000;         // after a walk that has found nothing
constexpr uint64_t kForgetAskedMs = 5000;  // the store has been lost meanwhile

}  // namespace

uint64_t MoveRate::Allow(uint64_t per_second, uint64_t now_ms) {
  const auto rate = static_cast<int64_t>(per_second);
  const auto passed = static_cast<int64_t>(at_ms_ == 0 ? 0 : std::min(now_ms - at_ms_, kLookMs));
  at_ms_ = now_ms;
  // What a step brings is beyond a session that it completes: of a few a second it would be lost.
  const int64_t step = passed <= kLongestStepMs ? passed * rate : 0;
  const int64_t most = std::max(rate * kLongestStepMs, 1000 + step);
  tokens_ms_ = std::min(tokens_ms_ + passed * rate, most);
  return tokens_ms_ > 0 ? static_cast<uint64_t>(tokens_ms_ / 1000) : 0;
}

Rebalancer::Rebalancer(const Env& env)
    : env_(env),
      idle_ms_(Ms(conf().IdleIn(env.zone))),
      moves_(env.table, env.shared),
      timer_(env.loop, Callback::To<&Rebalancer::OnTimer>(this)) {}

void Rebalancer::Start() {
  if (!timer_.armed()) OnTimer();
}

void Rebalancer::Stop() {
  timer_.Disarm();
  if (env_.store != nullptr) env_.store->ForgetUser(this);
  asked_.clear();
  leaving_.clear();
  began_ms_ = 0;
}

void Rebalancer::OnTimer() {
  const uint64_t now = env_.loop.NowMs();
  const bool active = Plan(now);
  if (active && now >= rest_until_ms_) Walk();
  timer_.Arm(active ? kStepMs : kLookMs);
}

// True: there is something to do, now or soon.
bool Rebalancer::Plan(uint64_t now) {
  if (env_.zone.norefresh) return false;  // how long a session is idle nobody knows
  moves_.SetServers(LoadsOf(env_.group, env_.table));
  CountAsked(now);
  const bool evens = PlanEvening(now);
  const bool leaves = PlanLeaving(now);
  return evens || leaves;
}

// Once it has begun, it goes on until loads are well within the threshold, not only at its edge.
bool Rebalancer::PlanEvening(uint64_t now) {
  if (conf().rate == 0) return false;
  const double threshold = began_ms_ == 0 ? conf().threshold : conf().threshold / 2;
  if (IsEven(moves_.Loads(), threshold)) {
    if (began_ms_ != 0) SayEnd(now);
    return false;
  }
  if (began_ms_ == 0) {
    began_ms_ = now;
    moved_ = 0;
    SayBegin();
  }
  moves_.PlanEven(rate_.Allow(static_cast<uint64_t>(conf().rate), now));
  return true;
}

bool Rebalancer::PlanLeaving(uint64_t now) {
  bool any = false;
  for (MoveServer& server : moves_.servers()) {
    if (server.load.role != LoadRole::kLeaves) {
      leaving_.erase(server.index);
      continue;
    }
    const auto [rate, is_new] = leaving_.try_emplace(server.index);
    if (is_new) {
      LIMPET_LOG(
          env_.log, LogLevel::kNotice,
          "upstream \"{}\": {} drains, {} sessions move to other servers when they are idle, "
          "{} a second at most",
          env_.group.conf().name, server.name, server.load.sessions, server.rate);
    }
    server.gives = rate->second.Allow(server.rate, now);
    any |= server.load.sessions > 0;
  }
  return any;
}

// The servers have been looked at anew: what is on its way counts as if it were there.
void Rebalancer::CountAsked(uint64_t now) {
  std::erase_if(asked_, [&](const auto& one) { return now - one.second.at_ms > kForgetAskedMs; });
  for (MoveServer& server : moves_.servers()) {
    for (const auto& [key, asked] : asked_) {
      if (server.index == asked.candidate.to) ++server.load.sessions;
      if (server.index == asked.candidate.session.peer() && server.load.sessions > 0)
        --server.load.sessions;
    }
  }
}

void Rebalancer::Walk() {
  const auto gives = [](const MoveServer& server) { return server.gives > 0; };
  for (uint32_t piece = 0; piece < kPiecesPerStep; ++piece) {
    if (std::ranges::none_of(moves_.servers(), gives)) return;
    if (!moves_.HasRoom(kSlotsPerPiece)) return;  // whoever tells the store has not come by yet
    for (const MoveCandidate& candidate : moves_.Find(kSlotsPerPiece, idle_ms_)) {
      found_any_ = true;
      Take(candidate);
    }
    if (moves_.more()) continue;
    moves_.Restart();
    if (!found_any_) rest_until_ms_ = env_.loop.NowMs() + kRestMs;
    found_any_ = false;
    return;
  }
}

// Other machines may use it: they have renewed its deadline in the store then.
void Rebalancer::Take(const MoveCandidate& candidate) {
  const auto leaving = leaving_.find(candidate.session.peer());
  (leaving != leaving_.end() ? leaving->second : rate_).Spend(1);
  if (env_.store == nullptr) return Carry(candidate);
  const StoreKey key = StoreKey::Of(candidate.session);
  if (asked_.contains(key) || !env_.store->AskIdle(key, this)) return moves_.GiveBack(candidate);
  asked_.emplace(key, Asked{candidate, env_.loop.NowMs()});
}

void Rebalancer::OnIdle(const StoreKey& key, uint64_t idle_ms) {
  const auto asked = asked_.find(key);
  if (asked == asked_.end()) return;
  const MoveCandidate candidate = asked->second.candidate;
  asked_.erase(asked);
  if (idle_ms >= idle_ms_) return Carry(candidate);
  moves_.GiveBack(candidate);
}

void Rebalancer::Carry(const MoveCandidate& candidate) {
  if (moves_.Move(candidate) && !leaving_.contains(candidate.session.peer())) ++moved_;
}

void Rebalancer::SayBegin() {
  const std::vector<uint64_t> targets = EvenTargets(moves_.Loads());
  std::string text;
  for (size_t i = 0; i < targets.size(); ++i) {
    const MoveServer& server = moves_.servers()[i];
    if (server.load.role != LoadRole::kShares) continue;
    fmt::format_to(std::back_inserter(text), "{}{} has {} of {}", text.empty() ? "" : ", ",
                   server.name, server.load.sessions, targets[i]);
  }
  LIMPET_LOG(env_.log, LogLevel::kNotice,
             "upstream \"{}\": loads are uneven, idle sessions begin to move: {}",
             env_.group.conf().name, text);
}

void Rebalancer::SayEnd(uint64_t now) {
  std::string text;
  for (const MoveServer& server : moves_.servers()) {
    if (server.load.role != LoadRole::kShares) continue;
    fmt::format_to(std::back_inserter(text), "{}{} has {}", text.empty() ? "" : ", ", server.name,
                   server.load.sessions);
  }
  LIMPET_LOG(env_.log, LogLevel::kNotice,
             "upstream \"{}\": loads are even after {} s, {} sessions have moved: {}",
             env_.group.conf().name, (now - began_ms_ + 500) / 1000, moved_, text);
  began_ms_ = 0;
}

}  // namespace limpet::worker
