// Sessions that the store has just been asked for and does not know: forged and stale cookies are
// not asked for again at once. A small table of one worker; where two keys meet the later one
// stays. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "worker/store/record.h"

namespace limpet::worker {

class UnknownKeys {
 public:
  static constexpr uint64_t kRememberedMs = 1'000;

  void Add(const StoreKey& key, uint64_t now_ms);
  void Forget(const StoreKey& key);  // it has been made meanwhile
  bool Has(const StoreKey& key, uint64_t now_ms) const;

 private:
  struct Entry {
    StoreKey key;
    uint64_t until_ms = 0;
  };
  std::array<Entry, 1024> entries_;
};

}  // namespace limpet::worker
