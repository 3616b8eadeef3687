// Pooled blocks of memory and a reference to one. Blocks have five sizes and are kept for reuse in
// bounded free lists; references count, so that a range of a block can be in an output queue while
// another part is still read from. One thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "worker/net/small_memory.h"
#include "worker/net/sparse_memory.h"

namespace limpet::worker {

class BlockPool;

enum class BlockSize : uint8_t { k1K, k4K, k16K, k64K, k256K };
constexpr size_t Bytes(BlockSize size) { return size_t{1024} << (2 * static_cast<int>(size)); }
constexpr BlockSize Larger(BlockSize size) {  // the next one; of one that is not the largest
  return static_cast<BlockSize>(static_cast<int>(size) + 1);
}

// A counted reference to a block; empty or valid. The pool must outlive it.
class BlockRef {
 public:
  BlockRef() = default;
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_ != nullptr) ++block_->references;
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() { Reset(); }

  explicit operator bool() const { return block_ != nullptr; }
  char* data() const { return reinterpret_cast<char*>(block_ + 1); }
  BlockSize size() const { return block_->size; }
  size_t capacity() const { return Bytes(block_->size) - sizeof(Block); }
  bool unique() const { return block_->references == 1; }
  void Reset() {
    Block* const block = std::exchange(block_, nullptr);
    if (block != nullptr && --block->references == 0) Free(block);
  }

  friend bool operator==(const BlockRef& a, const BlockRef& b) { return a.block_ == b.block_; }

 private:
  friend class BlockPool;
  struct alignas(16) Block {  // the bytes follow it
    BlockPool* pool;
    Block* next_free;
    uint32_t references;
    BlockSize size;
  };
  explicit BlockRef(Block* block) : block_(block) {}
  static void Free(Block* block);

  Block* block_ = nullptr;
};

class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  BlockRef Get(BlockSize size);

  size_t in_use() const { return in_use_; }     // bytes of blocks that somebody refers to
  size_t most_in_use() const { return most_; }  // since Trim
  void Trim();                                  // frees what is kept for reuse

  // For what is smaller than a block, and for what is large and mostly empty; Trim() frees what
  // they keep, too.
  SmallMemory& small() { return small_; }
  SparseMemory& sparse() { return sparse_; }

 private:
  friend class BlockRef;
  using Block = BlockRef::Block;
  void Put(Block* block);

  struct FreeList {
    Block* first = nullptr;
    size_t count = 0;
  };
  static constexpr size_t kKeptBytes = 4 * 1024 * 1024;  // per size; more goes back to the system
  std::array<FreeList, 5> free_{};
  size_t in_use_ = 0;
  size_t most_ = 0;
  SmallMemory small_;
  SparseMemory sparse_;
};

}  // namespace limpet::worker
