#include "worker/net/small_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/sanitizer.h"

namespace limpet::worker {
namespace {

TEST(SmallMemory, GivesWhatWasGivenBackLast) {
  if (kAddressSanitizer) GTEST_SKIP() << "nothing is kept, so that it sees a late use";
  SmallMemory memory;
  void* const first = memory.Take(100);
  void* const second = memory.Take(100);
  memory.Give(first, 100);
  memory.Give(second, 100);
  EXPECT_EQ(memory.Take(97), second);  // another size with the same list
  EXPECT_EQ(memory.Take(128), first);
  void* const other = memory.Take(129);
  EXPECT_NE(other, first);
  for (void* piece : {first, second}) memory.Give(piece, 128);
  memory.Give(other, 129);
}

// Each size has its bytes, at both ends of each list and beyond the largest.
TEST(SmallMemory, EverySizeIsThere) {
  SmallMemory memory;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::pair<char*, size_t>> taken;
    for (size_t size = 0; size <= 1100; ++size) {
      char* const piece = static_cast<char*>(memory.Take(size));
      std::memset(piece, static_cast<int>(size % 251), size);
      taken.emplace_back(piece, size);
    }
    for (const auto& [piece, size] : taken) {
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(piece[i], static_cast<char>(size % 251)) << size;
      memory.Give(piece, size);
    }
  }
}

TEST(SmallMemory, StandsBehindStandardContainers) {
  SmallMemory memory;
  std::pmr::vector<int> numbers(&memory);
  for (int i = 0; i < 1000; ++i) numbers.push_back(i);
  EXPECT_EQ(numbers[999], 999);
  memory.Trim();  // what is in use stays
  EXPECT_EQ(numbers[500], 500);
}

}  // namespace
}  // namespace limpet::worker
