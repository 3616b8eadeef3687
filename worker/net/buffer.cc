#include "worker/net/buffer.h"

#include <new>

namespace limpet::worker {

void BlockRef::Free(Block* block) { block->pool->Put(block); }

BlockPool::~BlockPool() { Trim(); }

void BlockPool::Trim() {
  for (FreeList& list : free_) {
    while (list.first != nullptr)
      ::operator delete(std::exchange(list.first, list.first->next_free));
    list.count = 0;
  }
  small_.Trim();
  sparse_.Trim();
  most_ = in_use_;
}

BlockRef BlockPool::Get(BlockSize size) {
  FreeList& list = free_[static_cast<size_t>(size)];
  Block* block = list.first;
  if (block != nullptr) {
    list.first = block->next_free;
    __builtin_prefetch(list.first);  // for whoever comes next
    --list.count;
  } else {
    block = new (::operator new(Bytes(size))) Block{this, nullptr, 0, size};
  }
  block->references = 1;
  in_use_ += Bytes(size);
  if (in_use_ > most_) most_ = in_use_;
  return BlockRef(block);
}

void BlockPool::Put(Block* block) {
  FreeList& list = free_[static_cast<size_t>(block->size)];
  in_use_ -= Bytes(block->size);
  if ((list.count + 1) * Bytes(block->size) > kKeptBytes) return ::operator delete(block);
  block->next_free = list.first;
  list.first = block;
  ++list.count;
}

}  // namespace limpet::worker
