// Memory of large pieces that are seldom used to their end. Each has pages of its own, and those
// that nobody touched cost nothing; a piece from the system's allocator stands in what somebody
// else has filled before. One thread only; it outlives what is taken from it.
#pragma once

#include <cstddef>
#include <vector>

namespace limpet::worker {

class SparseMemory {
 public:
  static constexpr size_t kPiece = 20 * 1024;  // bytes; aligned to pages of 4 KB

  SparseMemory() = default;
  SparseMemory(const SparseMemory&) = delete;
  SparseMemory& operator=(const SparseMemory&) = delete;
  ~SparseMemory();

  void* Take();  // kPiece bytes; throws std::bad_alloc
  void Give(void* piece);
  void Trim();  // what is given back costs nothing any more

 private:
  static constexpr size_t kPieces = 51;  // of a slab; in 1 MB
  static constexpr size_t kSlab = kPieces * kPiece;

  void AddSlab();

  std::vector<char*> slabs_;
  std::vector<char*> free_;  // what was given back last stands last
};

}  // namespace limpet::worker
