#include "shm/peer_state.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "shm/name_book.h"

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

// Anonymous shared memory in chunks, handed out as objects and taken back for reuse. Never unmapped
// before the end: workers that are still ending may look at it.
struct PeerStateRegistry::Arena {
  static constexpr size_t kChunk = 256 * 1024;

  ~Arena() {
    for (void* chunk : chunks) ::munmap(chunk, kChunk);
  }

  void* Allocate(size_t size) {
    if (left < size && !Grow()) return nullptr;
    void* out = next;
    next += size;
    left -= size;
    return out;
  }

  bool Grow() {
    void* chunk =
        ::mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) return false;
    chunks.push_back(chunk);
    next = static_cast<std::byte*>(chunk);
    left = kChunk;
    return true;
  }

  PeerState* TakeState() {
    if (free_states.empty()) {
      void* memory = Allocate(sizeof(PeerState));
      return memory == nullptr ? nullptr : new (memory) PeerState;
    }
    PeerState* state = free_states.back();
    free_states.pop_back();
    return new (state) PeerState;
  }

  RobustMutex* TakeMutex() {
    if (free_mutexes.empty()) {
      constexpr size_t kPadded = (sizeof(RobustMutex) + 63) / 64 * 64;
      void* memory = Allocate(kPadded);
      if (memory == nullptr) return nullptr;
      auto* mutex = new (memory) RobustMutex;
      mutex->Init();
      return mutex;
    }
    RobustMutex* mutex = free_mutexes.back();
    free_mutexes.pop_back();
    return mutex;
  }

  std::atomic<uint64_t>* TakeNumber() {
    if (!free_numbers.empty()) {
      auto* number = free_numbers.back();
      free_numbers.pop_back();
      return number;
    }
    void* memory = Allocate(64);
    return memory == nullptr ? nullptr : new (memory) std::atomic<uint64_t>;
  }

  std::vector<void*> chunks;
  std::byte* next = nullptr;
  size_t left = 0;
  std::vector<PeerState*> free_states;
  std::vector<RobustMutex*> free_mutexes;
  std::vector<std::atomic<uint64_t>*> free_numbers;
};

struct PeerStateRegistry::Entry {
  PeerState* state = nullptr;
  int users = 0;  // PeerStates that name it
};

struct PeerStateRegistry::Group {
  RobustMutex* mutex = nullptr;
  RobustMutex* watch = nullptr;
  RobustMutex* resolving = nullptr;
  NameBook names;
  std::set<uint64_t> numbers;               // of the PeerStates that use it
  std::atomic<uint64_t>* newest = nullptr;  // the highest of them
  int users = 0;
  std::map<std::string, Entry> entries;  // by identity
};

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

PeerStateRegistry::PeerStateRegistry() : arena_(std::make_unique<Arena>()) {}
PeerStateRegistry::~PeerStateRegistry() = default;

std::unique_ptr<PeerStates> PeerStateRegistry::Attach(const std::string& upstream,
                                                      const std::vector<std::string>& identities) {
  if (book_ != nullptr && book_->crowded()) CollectPlaces();
  std::unique_ptr<Group>& group = groups_[upstream];
  if (!group) group = std::make_unique<Group>();
  for (RobustMutex** mutex : {&group->mutex, &group->watch, &group->resolving}) {
    if (*mutex == nullptr) *mutex = arena_->TakeMutex();
    if (*mutex == nullptr) return nullptr;
  }
  if (group->newest == nullptr) group->newest = arena_->TakeNumber();
  if (group->newest == nullptr) return nullptr;

  std::unique_ptr<PeerStates> states(new PeerStates);
  states->shared_ = true;
  states->mutex_ = group->mutex;
  states->watch_ = group->watch;
  states->resolving_ = group->resolving;
  states->registry_ = this;
  states->book_ = book_;
  states->upstream_ = upstream;
  states->number_ = ++last_number_;
  states->newest_ = group->newest;
  group->numbers.insert(last_number_);
  group->newest->store(last_number_, kRelaxed);
  ++group->users;
  for (const std::string& identity : identities) {
    Entry& entry = group->entries[identity];
    if (entry.state == nullptr) entry.state = arena_->TakeState();
    if (entry.state == nullptr) return nullptr;  // what was counted so far is released
    ++entry.users;
    states->identities_.push_back(identity);
    states->states_.push_back(entry.state);
  }
  return states;
}

std::unique_ptr<PeerStates> PeerStateRegistry::Attach(const std::string& upstream,
                                                      const std::vector<std::string>& identities,
                                                      const std::vector<ServerName>& names,
                                                      uint32_t capacity) {
  auto states = Attach(upstream, identities);
  if (states == nullptr || names.empty()) return states;
  NameBook& book = groups_[upstream]->names;
  states->resolved_ = book.table();  // what a death under the lock has to be repaired in
  const PeerStates::Guard guard(*states);
  if (!book.Attach(names, capacity, &states->sources_)) return nullptr;
  states->resolved_ = book.table();
  return states;
}

void PeerStateRegistry::Release(PeerStates& states) {
  const auto found = groups_.find(states.upstream_);
  if (found == groups_.end()) return;
  Group& group = *found->second;
  group.names.Release(states.sources_);
  for (const std::string& identity : states.identities_) {
    const auto entry = group.entries.find(identity);
    if (entry == group.entries.end() || --entry->second.users > 0) continue;
    if (book_ != nullptr) book_->Publish(entry->second.state->place.load(kRelaxed), 0);
    arena_->free_states.push_back(entry->second.state);
    group.entries.erase(entry);
  }
  group.numbers.erase(states.number_);
  if (!group.numbers.empty()) group.newest->store(*group.numbers.rbegin(), kRelaxed);
  if (--group.users > 0) return;
  for (RobustMutex* mutex : {group.mutex, group.watch, group.resolving}) {
    arena_->free_mutexes.push_back(mutex);
  }
  arena_->free_numbers.push_back(group.newest);
  groups_.erase(found);
}

void PeerStateRegistry::ForgetWorkerIn(Group& group, int slot) {
  PeerStates all;  // a view of every state of the group, for its lock and repair
  all.mutex_ = group.mutex;
  for (auto& [identity, entry] : group.entries) {
    if (entry.state != nullptr) all.states_.push_back(entry.state);
  }
  all.resolved_ = group.names.table();
  all.book_ = book_;
  for (PeerState* state : group.names.States()) all.states_.push_back(state);
  const PeerStates::Guard guard(all);
  for (PeerState* state : all.states_) {
    Set(state->opening_of_slot[slot % kMaxWorkerSlots], 0);
    Set(state->opening, SumOfOpening(*state));
    Set(state->inflight_of_slot[slot % kMaxWorkerSlots], 0);
    RecountInflight(*state);
    Set(state->conns_of_slot[slot % kMaxWorkerSlots], 0);
    all.SetConns(*state, SumOfSlots(*state));
  }
}

bool PeerStateRegistry::ForgetWorker(int slot) {
  bool done = true;
  for (auto& [name, group] : groups_) {
    done &= IfFree([&, &of = *group] { ForgetWorkerIn(of, slot); });
  }
  return done;
}

std::vector<const std::atomic<uint32_t>*> PeerStateRegistry::Places(bool in_use_only) const {
  std::vector<const std::atomic<uint32_t>*> used;
  for (const auto& [name, group] : groups_) {
    for (const auto& [identity, entry] : group->entries) {
      if (entry.state != nullptr) used.push_back(&entry.state->place);
    }
    const NameBook& names = group->names;
    for (const PeerState* state : in_use_only ? names.StatesInUse() : names.States())
      used.push_back(&state->place);
  }
  return used;
}

void PeerStateRegistry::TellUsedPlaces() { book_->KeepOnlyUsed(Places(true)); }

void PeerStateRegistry::CollectPlaces() {
  (void)IfFree([this] { book_->Collect(Places(false)); });  // or at the next reload
}

}  // namespace limpet::shm
