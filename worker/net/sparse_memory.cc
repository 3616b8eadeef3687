#include "worker/net/sparse_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "base/sanitizer.h"

namespace limpet::worker {

SparseMemory::~SparseMemory() {
  Trim();
  assert(slabs_.empty());
}

void* SparseMemory::Take() {
  if (kAddressSanitizer) return ::operator new(kPiece);  // it sees what is beyond the end
  if (free_.empty()) AddSlab();
  char* const piece = free_.back();
  free_.pop_back();
  return piece;
}

void SparseMemory::Give(void* piece) {
  if (kAddressSanitizer) return ::operator delete(piece);
  free_.push_back(static_cast<char*>(piece));
}

void SparseMemory::AddSlab() {
  slabs_.reserve(slabs_.size() + 1);
  free_.reserve(slabs_.capacity() * kPieces);  // Give() needs no memory
  void* const slab =
      ::mmap(nullptr, kSlab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (slab == MAP_FAILED) throw std::bad_alloc();
  ::madvise(slab, kSlab, MADV_NOHUGEPAGE);  // a huge page would be touched as a whole
  slabs_.push_back(static_cast<char*>(slab));
  for (size_t i = kPieces; i-- > 0;) free_.push_back(slabs_.back() + i * kPiece);
}

void SparseMemory::Trim() {
  std::sort(free_.begin(), free_.end());
  std::vector<char*> kept;
  std::erase_if(slabs_, [&](char* slab) {
    const auto first = std::lower_bound(free_.begin(), free_.end(), slab);
    const auto last = std::lower_bound(first, free_.end(), slab + kSlab);
    if (last - first == kPieces && ::munmap(slab, kSlab) == 0) return true;
    for (auto piece = first; piece != last; ++piece) ::madvise(*piece, kPiece, MADV_DONTNEED);
    kept.insert(kept.end(), first, last);
    return false;
  });
  free_ = std::move(kept);
  free_.reserve(slabs_.size() * kPieces);
}

}  // namespace limpet::worker
