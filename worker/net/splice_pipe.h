// Pipes that body bytes pass through on their way from one socket to another without being copied
// (splice(2)). A few are kept for reuse, also while their last bytes are on their way; one that
// holds bytes of a response that broke off is closed instead. All of them together take at most a
// quarter of the worker's descriptors.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "base/unique_fd.h"

namespace limpet::worker {

struct SplicePipe {
  static constexpr size_t kCapacity = 256 * 1024;  // asked for
  static constexpr size_t kLeast = 64 * 1024;      // less is of no use

  explicit SplicePipe(size_t* of_pool) : live(of_pool) { ++*live; }
  ~SplicePipe() { --*live; }
  SplicePipe(const SplicePipe&) = delete;
  SplicePipe& operator=(const SplicePipe&) = delete;

  size_t* live;                              // of the pool, which outlives it
  std::shared_ptr<const UniqueFd> read_end;  // an output queue refers to it while bytes are inside
  UniqueFd write_end;
};

class SplicePipes {
 public:
  // Empty and non-blocking; null if there are no descriptors or no pages left for it.
  std::unique_ptr<SplicePipe> Take();
  void Return(std::unique_ptr<SplicePipe> pipe);

 private:
  static constexpr size_t kKept = 64;
  size_t live_ = 0;                               // that have not been closed
  std::deque<std::unique_ptr<SplicePipe>> free_;  // the one that was returned first is at the front
};

}  // namespace limpet::worker
