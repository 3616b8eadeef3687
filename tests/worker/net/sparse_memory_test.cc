#include "worker/net/sparse_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/sanitizer.h"

namespace limpet::worker {
namespace {

constexpr size_t kPageOfTest = 4096;

class SparseMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kAddressSanitizer) GTEST_SKIP() << "the system's allocator has its place, which sees more";
    if (::sysconf(_SC_PAGESIZE) != kPageOfTest) GTEST_SKIP() << "pieces share larger pages";
  }

  static size_t TouchedPages(void* piece) {
    unsigned char touched[SparseMemory::kPiece / kPageOfTest] = {};
    EXPECT_EQ(::mincore(piece, SparseMemory::kPiece, touched), 0);
    return std::count_if(std::begin(touched), std::end(touched), [](int page) { return page & 1; });
  }
  void* Fill() {
    void* const piece = memory_.Take();
    std::memset(piece, 'x', SparseMemory::kPiece);
    return piece;
  }

  SparseMemory memory_;
};

TEST_F(SparseMemoryTest, OnlyWhatIsTouchedIsThere) {
  char* const piece = static_cast<char*>(memory_.Take());
  char* const next = static_cast<char*>(memory_.Take());
  piece[0] = 'x';
  EXPECT_EQ(TouchedPages(piece), 1u);
  EXPECT_EQ(TouchedPages(next), 0u);
  memory_.Give(piece);
  memory_.Give(next);
}

TEST_F(SparseMemoryTest, GivesWhatWasGivenBackLast) {
  void* const first = memory_.Take();
  void* const second = memory_.Take();
  memory_.Give(first);
  memory_.Give(second);
  EXPECT_EQ(memory_.Take(), second);
  EXPECT_EQ(memory_.Take(), first);
  memory_.Give(first);
  memory_.Give(second);
}

TEST_F(SparseMemoryTest, PiecesOfManySlabsDoNotOverlap) {
  std::vector<char*> pieces;
  for (int i = 0; i < 130; ++i) {
    pieces.push_back(static_cast<char*>(memory_.Take()));
    std::memset(pieces.back(), i, SparseMemory::kPiece);
  }
  for (int i = 0; i < 130; ++i) {
    EXPECT_EQ(pieces[i][0], static_cast<char>(i));
    EXPECT_EQ(pieces[i][SparseMemory::kPiece - 1], static_cast<char>(i));
    memory_.Give(pieces[i]);
  }
}

TEST_F(SparseMemoryTest, TrimmingEmptiesWhatIsFreeAndKeepsWhatIsInUse) {
  std::vector<void*> pieces;
  for (int i = 0; i < 120; ++i) pieces.push_back(Fill());
  void* const used = pieces[60];
  for (void* piece : pieces) {
    if (piece != used) memory_.Give(piece);
  }
  memory_.Trim();
  EXPECT_EQ(TouchedPages(used), SparseMemory::kPiece / kPageOfTest);
  EXPECT_EQ(static_cast<char*>(used)[SparseMemory::kPiece - 1], 'x');
  unsigned char page;
  EXPECT_NE(::mincore(pieces[0], kPageOfTest, &page), 0) << "a slab without use is gone";
  void* const anew = memory_.Take();  // of the slab that is left
  EXPECT_EQ(TouchedPages(anew), 0u);
  EXPECT_LT(std::abs(static_cast<char*>(anew) - static_cast<char*>(used)), 1 << 20);
  memory_.Give(anew);
  memory_.Give(used);
}

}  // namespace
}  // namespace limpet::worker
