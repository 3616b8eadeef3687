#include "shm/crc32.h"

#include <gtest/gtest.h>

namespace limpet::shm {
namespace {

TEST(Crc32, IsZlibs) {
  EXPECT_EQ(Crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(Crc32(""), 0u);
}

TEST(Crc32, PiecesMakeTheWhole) {
  Crc32Stream stream;
  stream.Add("1234");
  stream.Add("");
  stream.Add("56789");
  EXPECT_EQ(stream.value(), Crc32("123456789"));
}

}  // namespace
}  // namespace limpet::shm
