#include "worker/http/client/http2_memory.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace limpet::worker {
namespace {

// nghttp2 does not say how large what it gives back is: that stands before it.
struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) Piece {
  size_t size;  // with this

  static Piece* Of(void* bytes) { return static_cast<Piece*>(bytes) - 1; }
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

constexpr bool IsSparse(size_t size) {
  return size > SparseMemory::kPiece / 2 && size <= SparseMemory::kPiece;
}

void* Allocate(size_t size, void* memory) noexcept {
  if (size > std::numeric_limits<size_t>::max() / 2) return nullptr;
  const size_t whole = size + sizeof(Piece);
  BlockPool& pool = *static_cast<BlockPool*>(memory);
  void* const taken = IsSparse(whole) ? pool.sparse().Take() : pool.small().Take(whole);
  return (new (taken) Piece{whole})->bytes();
}

void Free(void* bytes, void* memory) noexcept {
  if (bytes == nullptr) return;
  Piece* const piece = Piece::Of(bytes);
  BlockPool& pool = *static_cast<BlockPool*>(memory);
  if (IsSparse(piece->size)) return pool.sparse().Give(piece);
  pool.small().Give(piece, piece->size);
}

void* AllocateZeroed(size_t count, size_t size, void* memory) noexcept {
  size_t whole = 0;
  if (__builtin_mul_overflow(count, size, &whole)) return nullptr;
  void* const bytes = Allocate(whole, memory);
  if (bytes != nullptr) std::memset(bytes, 0, whole);
  return bytes;
}

void* Reallocate(void* bytes, size_t size, void* memory) noexcept {
  void* const moved = Allocate(size, memory);
  if (bytes == nullptr || moved == nullptr) return moved;
  std::memcpy(moved, bytes, std::min(size, Piece::Of(bytes)->size - sizeof(Piece)));
  Free(bytes, memory);
  return moved;
}

}  // namespace

nghttp2_mem Http2Memory(BlockPool& memory) {
  return {&memory, Allocate, Free, AllocateZeroed, Reallocate};
}

}  // namespace limpet::worker
