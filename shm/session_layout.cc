#include "shm/session_layout.h"

#include <algorithm>
#include <bit>

namespace limpet::shm {
namespace {

constexpr uint64_t Align(uint64_t n) { return (n + 63) & ~uint64_t{63}; }

uint32_t Clamp(uint64_t n, uint64_t low, uint64_t high) {
  return static_cast<uint32_t>(std::clamp(n, low, high));
}

constexpr uint64_t kSmallShard = 64 << 10;
constexpr uint64_t kBigShard = 512 << 10;

// Small zones spend little on what is not sessions; big ones have enough shards that writers seldom
// meet, none of them with more slots than a QueueLink can name.
uint32_t ShardsFor(uint64_t bytes) {
  const uint64_t enough = Clamp(std::bit_floor(bytes / kSmallShard), 1, 64);
  const uint64_t needed = std::bit_ceil((bytes + kBigShard - 1) / kBigShard);
  return static_cast<uint32_t>(std::max(enough, needed));
}

}  // namespace

Geometry Geometry::For(size_t bytes) {
  Geometry g{};
  g.bytes = bytes;
  g.counter_lines = Clamp(std::bit_floor(bytes / 16384), 4, 128);
  g.max_peers = Clamp(bytes / kBytesPerPeer, 32, kMostPeers);
  g.shards = ShardsFor(bytes);
  g.peers_offset = Align(sizeof(ZoneHeader)) + g.counter_lines * sizeof(SessionCounterLine);
  g.shards_offset = Align(g.peers_offset + g.max_peers * sizeof(PeerEntry));
  if (g.shards_offset >= bytes) return g;

  g.shard_bytes = static_cast<uint32_t>((bytes - g.shards_offset) / g.shards & ~uint64_t{63});
  const uint64_t fixed = sizeof(ShardHead) + g.max_peers * sizeof(uint32_t) + kQueueBytes +
                         sizeof(Bucket);  // the last one for alignment
  if (g.shard_bytes <= fixed) return g;
  static_assert(kBigShard / sizeof(BucketGroup) * kBucketsPerGroup * kSlotsPerBucket + kLists <=
                QueueLink::kMax);
  const uint64_t groups = (g.shard_bytes - fixed) / sizeof(BucketGroup);
  g.buckets = static_cast<uint32_t>(groups) * kBucketsPerGroup;
  g.shard_capacity = static_cast<uint32_t>(uint64_t{g.Slots()} * 3 / 4);
  return g;
}

PolicyView PolicyView::For(uint64_t timeout_ms, bool norefresh, bool rotate) {
  constexpr uint64_t kLongest = 0x7FFF'FFFF;  // 6.8 years: as good as never
  const uint64_t ticks =
      timeout_ms == 0 ? kLongest : std::min((timeout_ms + kTickMs - 1) / kTickMs, kLongest);
  const auto touch = static_cast<uint8_t>(std::clamp<uint64_t>(ticks / 16, 1, 1000 / kTickMs));
  return {static_cast<uint32_t>(ticks), touch, 0, norefresh, rotate};
}

}  // namespace limpet::shm
