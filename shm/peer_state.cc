#include "shm/peer_state.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "shm/peer_state_registry.h"
#include "shm/resolved_peers.h"

namespace limpet::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <class T, class U>
void Set(std::atomic<T>& field, U value) {
  field.store(static_cast<T>(value), kRelaxed);
}

uint32_t SumOfSlots(const PeerState& state) {
  uint32_t sum = 0;
  for (const auto& conns : state.conns_of_slot) sum += conns.load(kRelaxed);
  return sum;
}

uint32_t SumOfOpening(const PeerState& state) {
  uint32_t sum = 0;
  for (const auto& opening : state.opening_of_slot) sum += opening.load(kRelaxed);
  return sum;
}

// Nobody knows when the requests of a dead worker began: those that are left count from now.
void RecountInflight(PeerState& state) {
  uint32_t sum = 0;
  for (const auto& inflight : state.inflight_of_slot) sum += inflight.load(kRelaxed);
  Set(state.inflight, sum);
  Set(state.inflight_since_ms, sum * MonotonicMs());
}

}  // namespace

// The flag comes first, and goes first in the end: the other binary's lock is not ours, and where
// it sees a deadline without a drain it takes that for left over.
void BeginDrain(PeerStanding& standing, uint64_t until_ms, bool keeps, uint32_t move) {
  SetDrainKeeps(standing, keeps);
  standing.drain_move.store(move, kRelaxed);
  standing.flags.fetch_or(kPeerDraining, std::memory_order_release);
  standing.drain_until_ms.store(until_ms, std::memory_order_release);
  standing.flags.fetch_and(~uint32_t{kPeerDrained}, kRelaxed);
}

void SetDrainKeeps(PeerStanding& standing, bool keeps) {
  if (keeps) {
    standing.flags.fetch_or(kPeerDrainKeeps, kRelaxed);
  } else {
    standing.flags.fetch_and(~uint32_t{kPeerDrainKeeps}, kRelaxed);
  }
}

void EndDrain(PeerStanding& standing) {
  standing.flags.fetch_and(~uint32_t{kPeerDraining | kPeerDrained | kPeerDrainKeeps},
                           std::memory_order_release);
  standing.drain_until_ms.store(0, kRelaxed);
  standing.drain_move.store(0, kRelaxed);
}

void TakeOver(PeerState& state, const PeerState& before) {
  const auto copy = [](auto& to, const auto& from) { to.store(from.load(kRelaxed), kRelaxed); };
  state.own.CopyFrom(before.standing());
  if (const uint32_t place = before.place.load(kRelaxed); place != 0) {
    copy(state.place, before.place);
    copy(state.used_standing, before.used_standing);
  }
  for (auto field : {&PeerState::current_weight, &PeerState::effective_weight, &PeerState::weight})
    copy(state.*field, before.*field);
  for (auto field : {&PeerState::header_time_ms, &PeerState::response_time_ms,
                     &PeerState::failed_probes, &PeerState::unhealthy, &PeerState::passed})
    copy(state.*field, before.*field);
  for (auto field :
       {&PeerState::requests, &PeerState::failed, &PeerState::unavailable, &PeerState::downtime_ms,
        &PeerState::probes, &PeerState::sent, &PeerState::received, &PeerState::passed_checks,
        &PeerState::down_since_ms, &PeerState::selected_ms})
    copy(state.*field, before.*field);
  for (size_t i = 0; i < std::size(state.responses); ++i)
    copy(state.responses[i], before.responses[i]);
  for (size_t i = 0; i < std::size(state.codes.places); ++i)
    copy(state.codes.places[i], before.codes.places[i]);
}

std::unique_ptr<PeerStates> PeerStates::Private(size_t count) {
  std::unique_ptr<PeerStates> states(new PeerStates);
  states->own_ = std::make_unique<PeerState[]>(count);
  for (size_t i = 0; i < count; ++i) states->states_.push_back(&states->own_[i]);
  return states;
}

PeerStates::~PeerStates() {
  if (registry_ != nullptr) registry_->Release(*this);
}

void PeerStates::Lock() {
  if (mutex_ == nullptr || mutex_->Lock() == RobustMutex::Owner::kFine) return;
  Repair();
  mutex_->MarkRepaired();
}

void PeerStates::Unlock() {
  if (mutex_ != nullptr) mutex_->Unlock();
}

bool PeerStates::is_newest() const {
  if (newest_ == nullptr) return true;
  return number_ == newest_->load(kRelaxed) && (book_ == nullptr || book_->is_newest());
}

bool PeerStates::AllNamesKnown() {
  if (resolved_ == nullptr) return true;
  const Guard guard(*this);
  return std::ranges::all_of(sources_,
                             [this](uint32_t source) { return resolved_->Answered(source); });
}

// The owner died while it changed something. Connections are recounted from their slots, weights
// start over: round robin is only unbalanced by one turn.
void PeerStates::Repair() {
  std::vector<PeerState*> all = states_;
  if (resolved_ != nullptr) {
    for (PeerState* state : resolved_->States()) all.push_back(state);
    resolved_->OnRepair();
  }
  for (PeerState* state : all) {
    SetConns(*state, SumOfSlots(*state));
    Set(state->opening, SumOfOpening(*state));
    RecountInflight(*state);
    Set(state->current_weight, 0);
    Set(state->effective_weight, state->weight.load(kRelaxed));
  }
}

void PeerStates::SetConns(PeerState& state, uint32_t conns) {
  Set(state.conns, conns);
  if (book_ != nullptr) book_->Publish(state.place.load(kRelaxed), conns);
}

const PeerBook::Count* PeerStates::Share(PeerState& state, std::string_view identity) {
  if (book_ == nullptr) return nullptr;
  uint32_t place = state.place.load(kRelaxed);
  if (place == 0) {
    const auto digest = Md5(upstream_ + '\0' + std::string(identity));
    uint64_t key = 0;
    std::memcpy(&key, digest.data(), sizeof key);
    place = book_->Find(key, state.place, state.own);
    SetConns(state, state.conns.load(kRelaxed));
  }
  // Also for one that died as soon as it had found the place.
  if (place != 0) state.used_standing.store(&book_->Standing(place), std::memory_order_release);
  return &book_->Elsewhere(place);
}

void PeerStates::AddConn(PeerState& state, int slot) {
  auto& mine = state.conns_of_slot[slot % kMaxWorkerSlots];
  Set(mine, mine.load(kRelaxed) + 1);
  SetConns(state, state.conns.load(kRelaxed) + 1);
}

void PeerStates::DropConn(PeerState& state, int slot) {
  auto& mine = state.conns_of_slot[slot % kMaxWorkerSlots];
  if (mine.load(kRelaxed) == 0) return;  // the slot was forgotten meanwhile
  Set(mine, mine.load(kRelaxed) - 1);
  SetConns(state, state.conns.load(kRelaxed) - 1);
}

bool PeerStates::AddOpening(PeerState& state, int slot) {
  auto& mine = state.opening_of_slot[slot % kMaxWorkerSlots];
  if (mine.load(kRelaxed) == UINT16_MAX) return false;
  Set(mine, mine.load(kRelaxed) + 1);
  Set(state.opening, state.opening.load(kRelaxed) + 1);
  return true;
}

void PeerStates::DropOpening(PeerState& state, int slot) {
  auto& mine = state.opening_of_slot[slot % kMaxWorkerSlots];
  if (mine.load(kRelaxed) == 0) return;  // the slot was forgotten meanwhile
  Set(mine, mine.load(kRelaxed) - 1);
  Set(state.opening, state.opening.load(kRelaxed) - 1);
}

bool PeerStates::AddInflight(PeerState& state, int slot, uint64_t since_ms) {
  auto& mine = state.inflight_of_slot[slot % kMaxWorkerSlots];
  if (mine.load(kRelaxed) == UINT16_MAX) return false;
  Set(mine, mine.load(kRelaxed) + 1);
  Set(state.inflight, state.inflight.load(kRelaxed) + 1);
  Set(state.inflight_since_ms, state.inflight_since_ms.load(kRelaxed) + since_ms);
  return true;
}

void PeerStates::DropInflight(PeerState& state, int slot, uint64_t since_ms) {
  auto& mine = state.inflight_of_slot[slot % kMaxWorkerSlots];
  if (mine.load(kRelaxed) == 0) return;  // the slot was forgotten meanwhile
  Set(mine, mine.load(kRelaxed) - 1);
  const uint32_t left = state.inflight.load(kRelaxed) - 1;
  Set(state.inflight, left);
  const uint64_t sum = state.inflight_since_ms.load(kRelaxed);
  Set(state.inflight_since_ms, left == 0 ? 0 : sum - std::min(sum, since_ms));
}

void PeerStates::ForgetWorker(int slot) {
  for (PeerState* state : states_) {
    Set(state->opening_of_slot[slot % kMaxWorkerSlots], 0);
    Set(state->opening, SumOfOpening(*state));
    Set(state->inflight_of_slot[slot % kMaxWorkerSlots], 0);
    RecountInflight(*state);
    Set(state->conns_of_slot[slot % kMaxWorkerSlots], 0);
    SetConns(*state, SumOfSlots(*state));
  }
}

}  // namespace limpet::shm
