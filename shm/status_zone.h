// What workers count of one status zone: requests of servers or locations, verdicts of a limit,
// questions to name servers. Counts stand in places: the zone's own, and one for each value of a
// key, which workers name as they meet it. Each worker has a line of its own in each place, so that
// counting is a few additions and nobody waits; the sums are taken when somebody asks.
//
// Lives in memory that the master maps before it forks, all zero at first: of a slot that nobody
// has used no page is touched. Counts only grow, but for kProcessing, which is a gauge.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "shm/counters.h"  // kMaxWorkerSlots
#include "shm/response_codes.h"
#include "shm/words.h"

namespace limpet::shm {

// What the words of a line are, by what the zone counts.
struct RequestCount {
  enum : size_t {
    kRequests,
    kDiscarded,  // ended without an answer
    kAnswered,
    kReceived,  // bytes
    kSent,
    kHandshaked,  // TLS: those below are ends of handshakes, too
    kReused,      // of those that were made: with a session of before
    kTimedOut,
    kFailed,
    kProcessing = 15,  // the gauge, in lines of whatever
  };
};
struct LimitCount {
  enum : size_t { kPassed, kSkipped, kDelayed, kRejected, kExhausted };
};
struct ResolverCount {
  enum : size_t {
    kNames,     // asked for by others, whether or not an answer is kept
    kServices,  // likewise
    kAddresses,
    kA,  // sent to name servers
    kAaaa,
    kSrv,
    kPtr,
    kSuccess,  // those below are what came of the first three
    kTimedOut,
    kFormatError,
    kServerFailure,
    kNotFound,
    kUnimplemented,
    kRefused,
    kOther,
  };
};

struct alignas(64) ZoneLine {
  static constexpr size_t kWords = 16;

  std::array<uint64_t, kWords> counts;
  ResponseCodes codes;

  // By the one worker of the line: no locked instruction is needed.
  void Add(size_t word, uint64_t n = 1) {
    StoreRelaxed(counts[word], LoadRelaxed(counts[word]) + n);
  }
  void Leave() { Add(RequestCount::kProcessing, ~uint64_t{0}); }  // one less is under way
};
static_assert(sizeof(ZoneLine) == 320);

struct ZoneSums {
  std::array<uint64_t, ZoneLine::kWords> counts{};
  std::map<int, uint64_t> codes;

  ZoneSums& operator+=(const ZoneSums& other);
};

class StatusZone {
 public:
  static constexpr uint32_t kOwn = 0;  // the place of the zone itself
  static constexpr size_t kMaxName = 256;

  // `values`: how many there may be.
  static size_t BytesFor(uint32_t values);
  StatusZone(std::byte* memory, uint32_t values);

  // Of a worker that begins in this slot.
  void Use(int slot) { StoreRelease(header_->used[Index(slot)], uint64_t{1}); }
  ZoneLine& Line(int slot, uint32_t place) { return lines_[Index(slot) * places_ + place]; }

  // Places of values are 1 … taken(), in the order in which they were named; the name of one that
  // is being named, or whose worker has died of it, is "".
  uint32_t taken() const { return header_->taken.load(std::memory_order_acquire); }
  std::string_view NameOf(uint32_t place) const;
  // A place for a value that has none: 1 to kMaxName bytes. kOwn if none is left. Two workers may
  // name one value at the same time: what is counted in both its places belongs together.
  uint32_t Take(std::string_view value);

  std::map<std::string, ZoneSums> SumValues() const;
  ZoneSums Sum() const;  // of its own place

  void ForgetWorker(int slot);  // nothing is under way in it any more

 private:
  struct Header {
    std::array<uint64_t, kMaxWorkerSlots> used;  // not 0: a worker has had this slot
    std::atomic<uint32_t> taken;                 // places of values, from the second
  };
  struct Name {
    std::atomic<uint32_t> size;  // set last; 0: there is none yet
    char text[kMaxName];
  };

  static size_t Index(int slot) { return static_cast<size_t>(slot) % kMaxWorkerSlots; }
  static size_t LinesAt(uint32_t values);
  void AddTo(uint32_t place, ZoneSums* sums) const;

  Header* header_;
  Name* names_;  // to places, from the second
  ZoneLine* lines_;
  uint32_t places_;
};

}  // namespace limpet::shm
