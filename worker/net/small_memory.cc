#include "worker/net/small_memory.h"

#include <cassert>
#include <new>
#include <utility>

namespace limpet::worker {

void SmallMemory::Trim() {
  for (FreeList& list : free_) {
    while (list.first != nullptr) Delete(std::exchange(list.first, list.first->next));
    list.count = 0;
  }
}

void* SmallMemory::New(size_t size) { return ::operator new(RoundUp(size)); }

void SmallMemory::Delete(void* piece) { ::operator delete(piece); }

void* SmallMemory::do_allocate(size_t size, [[maybe_unused]] size_t alignment) {
  assert(alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  return Take(size);
}

void SmallMemory::do_deallocate(void* piece, size_t size, size_t) { Give(piece, size); }

}  // namespace limpet::worker
