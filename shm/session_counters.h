// What a zone counts. Each worker has a line of its own in the zone, so that counting never makes
// two of them meet; the sums are taken when somebody asks.
#pragma once

#include <atomic>
#include <cstdint>

namespace limpet::shm {

// All values only grow, for as long as the zone lives.
struct SessionCounters {
  uint64_t lookups = 0;    // hits + misses + expired
  uint64_t hits = 0;       // found, young enough, and its peer is still one
  uint64_t misses = 0;     // not there
  uint64_t expired = 0;    // there, but older than the timeout
  uint64_t used = 0;       // hits that did route a request (the caller says so)
  uint64_t created = 0;    // sessions learned anew
  uint64_t refreshed = 0;  // sessions learned again, with the same peer or another
  uint64_t rotated = 0;    // sessions given up because the table was full
  uint64_t refused = 0;    // sessions not learned because the table was full
  uint64_t too_long = 0;   // keys over cookie_max_size (the caller says so)
  // Sessions not learned: their client has as many as it may (the caller says).
  uint64_t over_quota = 0;
  uint64_t over_rate = 0;  // or has begun them faster than it may (the caller says)
  uint64_t collected = 0;  // sessions removed because their time was over
  uint64_t moved = 0;      // idle sessions that went to another server to make loads even
  uint64_t repaired = 0;   // shards rebuilt after the owner of their lock had died
};

// One worker's line in the zone. `lookups` is not stored: it is a sum.
struct alignas(64) SessionCounterLine {
  uint64_t hits, misses, expired, used, created, refreshed, rotated, refused, too_long, collected,
      repaired, moved, over_quota, over_rate;
};
static_assert(sizeof(SessionCounterLine) == 128);

// Slots may be shared by more workers than there are slots, and by two generations: hence atomic.
inline void Count(uint64_t& counter, uint64_t n = 1) {
  std::atomic_ref(counter).fetch_add(n, std::memory_order_relaxed);
}

}  // namespace limpet::shm
