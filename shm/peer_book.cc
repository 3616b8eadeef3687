#include "shm/peer_book.h"

#include <algorithm>
#include <new>

namespace limpet::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kFree = 0;   // never used: a search ends here
constexpr uint64_t kFreed = 1;  // a search goes on

uint64_t KeyIn(uint64_t key) { return key > kFreed ? key : key + 2; }

}  // namespace

// Place 0 is nobody's: its numbers stay 0.
struct PeerBook::Memory {
  std::atomic<uint32_t> formatted{0};
  std::atomic<uint32_t> owners[2]{};  // ids; 0: nobody
  std::atomic<uint32_t> used{0};
  RobustMutex mutex;  // a death inside leaves keys that are whole
  std::atomic<uint64_t> keys[kPlaces + 1]{};
  std::atomic<uint8_t> uses[2][kPlaces + 1]{};  // 1: that side has a peer there
  alignas(64) Count counts[2][kPlaces + 1]{};
  // PeerStandings, each made when its place is taken first: until then its memory is not touched.
  alignas(64) std::byte standings[kPlaces + 1][sizeof(PeerStanding)];
};

size_t PeerBook::Bytes() { return sizeof(Memory); }

PeerBook::PeerBook(std::byte* memory, size_t /*bytes*/)
    : memory_(std::launder(reinterpret_cast<Memory*>(memory))) {
  if (memory_->formatted.load(std::memory_order_acquire) != 0) return;
  memory_ = new (memory) Memory;  // standings are none yet
  memory_->mutex.Init();
  memory_->formatted.store(1, std::memory_order_release);
}

void PeerBook::Join(uint32_t id) {
  id_ = id;
  side_ = memory_->owners[1].load(kRelaxed) == id ? 1 : 0;
  memory_->owners[side_].store(id, kRelaxed);
}

void PeerBook::Admit(uint32_t id) {
  KeepOnlyOwn();
  memory_->owners[1 - side_].store(id, std::memory_order_release);
}

void PeerBook::KeepOnlyOwn() {
  memory_->owners[1 - side_].store(0, std::memory_order_release);
  for (Count& count : memory_->counts[1 - side_]) count.store(0, kRelaxed);
  for (auto& use : memory_->uses[1 - side_]) use.store(0, kRelaxed);
}

uint32_t PeerBook::Find(uint64_t key, std::atomic<uint32_t>& place, const PeerStanding& own) {
  key = KeyIn(key);
  const RobustGuard guard(memory_->mutex);
  uint32_t fit = 0;
  for (uint32_t step = 0; step < kPlaces; ++step) {
    const auto at = static_cast<uint32_t>((key + step) % kPlaces) + 1;
    const uint64_t found = memory_->keys[at].load(kRelaxed);
    if (found == key) {
      fit = at;
      break;
    }
    if (found > kFreed) continue;
    if (fit == 0) fit = at;
    if (found == kFree) break;
  }
  if (fit != 0) Take(fit, key, own);
  place.store(fit, kRelaxed);
  return fit;
}

// Under the lock: of two binaries that find a peer in the same moment the second takes over what
// the first has put there.
void PeerBook::Take(uint32_t place, uint64_t key, const PeerStanding& own) {
  const uint64_t before = memory_->keys[place].load(kRelaxed);
  if (before == kFree) new (memory_->standings[place]) PeerStanding;
  if (before != key) memory_->used.fetch_add(1, kRelaxed);
  memory_->keys[place].store(key, kRelaxed);
  if (memory_->uses[1 - side_][place].load(kRelaxed) == 0) Standing(place).CopyFrom(own);
  if (memory_->owners[side_].load(kRelaxed) == id_) memory_->uses[side_][place].store(1, kRelaxed);
}

void PeerBook::KeepOnlyUsed(const std::vector<const std::atomic<uint32_t>*>& used) {
  const RobustGuard guard(memory_->mutex);
  for (auto& use : memory_->uses[side_]) use.store(0, kRelaxed);
  for (const auto* place : used) memory_->uses[side_][place->load(kRelaxed)].store(1, kRelaxed);
}

bool PeerBook::is_newest() const {
  return memory_->owners[side_].load(kRelaxed) == id_ &&
         memory_->owners[1 - side_].load(kRelaxed) < id_;
}

bool PeerBook::has_other() const { return memory_->owners[1 - side_].load(kRelaxed) != 0; }

bool PeerBook::crowded() const { return memory_->used.load(kRelaxed) > kPlaces / 2; }

void PeerBook::Collect(const std::vector<const std::atomic<uint32_t>*>& used) {
  const RobustGuard guard(memory_->mutex);
  if (memory_->owners[1 - side_].load(kRelaxed) != 0) return;
  std::vector<bool> kept(kPlaces + 1);
  for (const auto* place : used) kept[place->load(kRelaxed)] = true;
  for (uint32_t at = 1; at <= kPlaces; ++at) {
    if (kept[at] || memory_->keys[at].load(kRelaxed) <= kFreed) continue;
    memory_->keys[at].store(kFreed, kRelaxed);
    memory_->counts[side_][at].store(0, kRelaxed);
    memory_->uses[side_][at].store(0, kRelaxed);
    memory_->used.fetch_sub(1, kRelaxed);
  }
}

// In one order with the other side's: of two that take the last place in the same moment at least
// one sees the other.
void PeerBook::Publish(uint32_t place, uint32_t connections) {
  if (place == 0 || memory_->owners[side_].load(kRelaxed) != id_) return;
  memory_->counts[side_][place].store(connections, std::memory_order_seq_cst);
}

const PeerBook::Count& PeerBook::Elsewhere(uint32_t place) const {
  return memory_->counts[1 - side_][place];
}

PeerStanding& PeerBook::Standing(uint32_t place) const {
  return *std::launder(reinterpret_cast<PeerStanding*>(memory_->standings[place]));
}

}  // namespace limpet::shm
