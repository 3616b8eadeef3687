#include "worker/memory_return.h"

#include <malloc.h>

#include <algorithm>

namespace limpet::worker {
namespace {

constexpr uint64_t kLookEveryMs = 1000;
constexpr size_t kOfAConnection = 16 * 1024;  // roughly, without its blocks
constexpr size_t kWorthIt = 1024 * 1024;      // bytes
constexpr size_t kMany = 256;                 // objects of a few hundred bytes and more

}  // namespace

MemoryReturn::MemoryReturn(Loop& loop, BlockPool& blocks, ConnectionSet& connections)
    : loop_(loop),
      blocks_(blocks),
      connections_(connections),
      timer_(loop, Callback::To<&MemoryReturn::Look>(this)) {}

size_t MemoryReturn::Held() { return blocks_.in_use() + loop_.places().taken() * kOfAConnection; }

void MemoryReturn::Look() {
  timer_.Arm(kLookEveryMs);
  const size_t held = Held();
  most_ = std::max(most_, std::max(held, blocks_.most_in_use()));
  const bool has_dropped_many = connections_.DropUnneeded() >= kMany;
  if (most_ - held < kWorthIt || held > most_ / 2) {
    if (has_dropped_many) ::malloc_trim(0);
    return;
  }
  most_ = held;
  blocks_.Trim();
  connections_.Trim();
  ::malloc_trim(0);
}

}  // namespace limpet::worker
