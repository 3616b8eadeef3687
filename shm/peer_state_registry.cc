#include "shm/peer_state_registry.h"

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <set>
#include <utility>

#include "shm/name_book.h"

namespace limpet::shm {

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
  group->newest->store(last_number_, std::memory_order_relaxed);
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
    if (book_ != nullptr)
      book_->Publish(entry->second.state->place.load(std::memory_order_relaxed), 0);
    arena_->free_states.push_back(entry->second.state);
    group.entries.erase(entry);
  }
  group.numbers.erase(states.number_);
  if (!group.numbers.empty())
    group.newest->store(*group.numbers.rbegin(), std::memory_order_relaxed);
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
  all.ForgetWorker(slot);
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
