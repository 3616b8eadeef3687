#include "worker/http/client/http2_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/sanitizer.h"

namespace limpet::worker {
namespace {

class Http2MemoryTest : public ::testing::Test {
 protected:
  char* Allocate(size_t size) { return static_cast<char*>(mem_.malloc(size, mem_.mem_user_data)); }
  char* Reallocate(char* bytes, size_t size) {
    return static_cast<char*>(mem_.realloc(bytes, size, mem_.mem_user_data));
  }
  void Free(char* bytes) { mem_.free(bytes, mem_.mem_user_data); }

  BlockPool memory_;
  nghttp2_mem mem_ = Http2Memory(memory_);
};

TEST_F(Http2MemoryTest, IsAlignedForEverything) {
  for (const size_t size : {0u, 1u, 31u, 1000u, 100000u}) {
    char* const bytes = Allocate(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % alignof(std::max_align_t), 0u) << size;
    std::memset(bytes, 'x', size);
    Free(bytes);
  }
  Free(nullptr);
}

TEST_F(Http2MemoryTest, WhatGrowsOrShrinksKeepsItsBytes) {
  char* bytes = Reallocate(nullptr, 4);
  std::memcpy(bytes, "abcd", 4);
  bytes = Reallocate(bytes, 5000);
  EXPECT_EQ(std::string_view(bytes, 4), "abcd");
  std::memset(bytes, 'y', 5000);
  bytes = Reallocate(bytes, 2);
  EXPECT_EQ(std::string_view(bytes, 2), "yy");
  Free(bytes);
}

TEST_F(Http2MemoryTest, IsZeroedWhereThatIsAskedFor) {
  char* const dirty = Allocate(100);
  std::memset(dirty, 'z', 100);
  Free(dirty);
  char* const bytes = static_cast<char*>(mem_.calloc(25, 4, mem_.mem_user_data));
  EXPECT_EQ(std::string(bytes, 100), std::string(100, '\0'));
  Free(bytes);
}

// What is not touched of it takes no memory: see SparseMemory.
TEST_F(Http2MemoryTest, AFrameHasPagesOfItsOwn) {
  if (kAddressSanitizer) GTEST_SKIP() << "the system's allocator has its place";
  constexpr size_t kFrame = 16 * 1024 + 10, kPage = 4096;
  char* const one = Allocate(kFrame);
  char* const other = Allocate(kFrame);
  EXPECT_LT(reinterpret_cast<uintptr_t>(one) % kPage, 64u);
  EXPECT_LT(reinterpret_cast<uintptr_t>(other) % kPage, 64u);
  Free(one);
  EXPECT_EQ(Allocate(kFrame), one);
  Free(one);
  Free(other);
}

TEST_F(Http2MemoryTest, NoMoreIsGivenThanThereCanBe) {
  EXPECT_EQ(mem_.calloc(SIZE_MAX / 2, 3, mem_.mem_user_data), nullptr);
  EXPECT_EQ(Allocate(SIZE_MAX - 4), nullptr);
}

}  // namespace
}  // namespace limpet::worker
