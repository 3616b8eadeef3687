// Bytes of a stream in memory, and how they are kept without costing more than they are: a client
// may send them one by one.
#pragma once

#include <span>
#include <string_view>

#include "worker/net/buffer.h"

namespace limpet::worker {

// Bytes inside a block that is kept alive by it; without a block they outlive who holds them.
struct Slice {
  BlockRef block;
  std::string_view bytes;
};

// Slices that wait become one where they can: what continues the last one extends it, and small
// ones are copied into a block that they share.
class SliceJoiner {
 public:
  // True: `*last` (may be null) holds both from now on. False: `*next` comes after it, perhaps in
  // another block than before.
  bool Join(BlockPool& pool, Slice* last, Slice* next);
  void Reset() { copies_.Reset(); }

 private:
  BlockRef copies_;
  size_t used_ = 0;
};

// Where a stream is read into: a block is filled by one read after the other, and begins anew once
// nobody refers to it. So what is kept of a read costs its bytes and not a block.
class ReadBlock {
 public:
  // Room for the next read: of a block of `size` if a new one is needed. Not empty.
  std::span<char> Room(BlockPool& pool, BlockSize size);
  // What the read gave; the slice keeps it alive.
  Slice Took(size_t n);
  void Release() { block_.Reset(); }
  // After a read for which nothing was there: who waits holds no block that is empty.
  void ReleaseUnlessUsed() {
    if (block_ && block_.unique()) block_.Reset();
  }

 private:
  BlockRef block_;
  size_t filled_ = 0;
};

}  // namespace limpet::worker
