// Pipes that body bytes pass through on their way from one socket to another without being copied
// (splice(2)). A few are kept for reuse; one that still holds bytes of a response that broke off is
// closed instead.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/unique_fd.h"

namespace limpet::worker {

struct SplicePipe {
  static constexpr size_t kCapacity = 256 * 1024;  // asked for; the system may grant less
  std::shared_ptr<const UniqueFd> read_end;  // an output queue refers to it while bytes are inside
  UniqueFd write_end;
};

class SplicePipes {
 public:
  // Empty and non-blocking; null if there are no descriptors left.
  std::unique_ptr<SplicePipe> Take();
  void Return(std::unique_ptr<SplicePipe> pipe);

 private:
  static constexpr size_t kKept = 64;
  std::vector<std::unique_ptr<SplicePipe>> free_;
};

}  // namespace limpet::worker
