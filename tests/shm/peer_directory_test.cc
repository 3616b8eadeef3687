#include "shm/peer_directory.h"

#include <gtest/gtest.h>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

TEST(PeerDirectory, AnIdKeepsItsIndex) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("10.0.0.1:80");
  const uint16_t b = t.table.PeerIndex("10.0.0.2:80");
  EXPECT_NE(a, b);
  EXPECT_EQ(t.table.PeerIndex("10.0.0.2:80"), b);
  EXPECT_EQ(t.table.PeerIndex("10.0.0.1:80"), a);
  EXPECT_EQ(t.table.PeerName(b), "10.0.0.2:80");
  EXPECT_EQ(t.table.PeerName(30), "");
  EXPECT_EQ(t.table.PeerName(kNoPeer), "");
}

TEST(PeerDirectory, LongIdsStayApart) {
  TestTable t(64 * 1024);
  const std::string path(200, 'x');
  const uint16_t a = t.table.PeerIndex("unix:/" + path + "/a");
  const uint16_t b = t.table.PeerIndex("unix:/" + path + "/b");
  EXPECT_NE(a, b);
  EXPECT_EQ(t.table.PeerIndex("unix:/" + path + "/a"), a);
  EXPECT_EQ(t.table.PeerName(a).size(), PeerEntry::kMaxName);
  EXPECT_EQ(t.table.PeerIndex(t.table.PeerName(b)), b);  // as a snapshot brings it back
}

TEST(PeerDirectory, TheLongestGoneWithoutSessionsMakesRoom) {
  TestTable t(64 * 1024);
  const auto size = static_cast<uint16_t>(t.table.peers().size());
  for (uint16_t i = 0; i < size; ++i) ASSERT_EQ(t.table.PeerIndex(std::to_string(i)), i);
  EXPECT_EQ(t.table.PeerIndex("one more"), kNoPeer);
  t.Learn(1, 5);
  for (const uint16_t gone : std::initializer_list<uint16_t>{5, 9, 7}) t.table.RetirePeer(gone);
  const uint32_t generation = t.table.peers().Generation(9);
  EXPECT_EQ(t.table.PeerIndex("one more"), 9);
  EXPECT_EQ(t.table.peers().Generation(9), generation + 1);
  EXPECT_EQ(t.table.PeerIndex("and another"), 7);
  EXPECT_EQ(t.table.PeerIndex("too many"), kNoPeer);  // 5 still has a session
}

}  // namespace
}  // namespace limpet::shm
