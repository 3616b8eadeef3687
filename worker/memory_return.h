// Gives memory back to the system after a flood: what is kept for reuse, and what the allocator
// keeps between what still lives. Once a second, by a comparison; the work itself only when much
// less is held than before.
#pragma once

#include <cstddef>

#include "worker/http/client/connection_set.h"
#include "worker/net/buffer.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class MemoryReturn {
 public:
  MemoryReturn(Loop& loop, BlockPool& blocks, ConnectionSet& connections);

  void Start() { Look(); }

 private:
  void Look();
  size_t Held();

  Loop& loop_;
  BlockPool& blocks_;
  ConnectionSet& connections_;
  Timer timer_;
  size_t most_ = 0;  // since memory was given back last
};

}  // namespace limpet::worker
