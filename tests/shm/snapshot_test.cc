#include "shm/snapshot.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/shm/sign_snapshot.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

using namespace std::chrono_literals;

SnapshotTime At(uint64_t boot_ms, const char* boot = "boot-1", int64_t wall = 5000) {
  return {boot_ms, wall, boot};
}

std::string Sample(uint64_t sessions = 100) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  for (uint64_t i = 0; i < sessions; ++i) {
    t.Learn(i, i % 2 == 0 ? a : b);
    t.now += 100;
  }
  t.Lookup(1);
  return Encode(t.table, At(t.now));
}

TEST(Snapshot, CarriesSessionsPeersAndAges) {
  const std::string bytes = Sample();
  TestTable t(128 * 1024);
  t.table.AdoptKey(RandomSipKey());
  t.table.PeerIndex("another server first");
  t.now = 1'010'000 + 60'000;
  const Result<Moved> moved = Decode(bytes, &t.table, At(t.now));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->moved, 100u);
  for (uint64_t i = 0; i < 100; ++i) {
    const Found found = t.Peek(i);
    ASSERT_EQ(found.result, LookupResult::kHit);
    ASSERT_EQ(t.table.PeerName(found.peer), i % 2 == 0 ? "a" : "b");
  }
  EXPECT_EQ(t.Peek(0).idle, 70s);
  EXPECT_EQ(t.table.Check(t.now), "");
  t.now += 600'000 - 65'000;
  EXPECT_FALSE(t.Hit(0));
  EXPECT_TRUE(t.Hit(99));
}

// What rotation weighs, to the last of the peers that there may be.
TEST(Snapshot, CarriesHowLongSessionsWereInUse) {
  TestTable from(16 << 20);
  const auto last = static_cast<uint16_t>(from.table.peers().size() - 1);
  for (int i = 0; i <= last; ++i) from.table.PeerIndex(std::to_string(i));
  ASSERT_EQ(last, kPeerMask);
  from.Learn(1, last);
  from.Learn(2, last);
  from.table.Import({99, TickOf(from.now), 0x8000, static_cast<uint16_t>(62 << 10 | last)}, last,
                    from.now);
  for (int i = 0; i < 100; ++i) {
    from.now += 10'000;
    from.Lookup(1);
  }
  from.Learn(2, last);
  TestTable t(16 << 20);
  ASSERT_EQ(Decode(Encode(from.table, At(from.now)), &t.table, At(t.now = from.now))->moved, 2u);
  EXPECT_EQ(t.table.PeerName(t.Peek(1).peer), from.table.PeerName(last));
  EXPECT_EQ(GradeOf(t.table.ReadRecord(t.Key(1))->span()), 2u);
  EXPECT_EQ(t.table.ReadRecord(t.Key(2))->span(), UseSpan());
}

TEST(Snapshot, OfTheEarlierVersionIsRead) {
  std::string bytes = Sample();
  bytes[8] = 1;
  SignSnapshot(&bytes);
  TestTable t(64 * 1024);
  const Result<Moved> moved = Decode(bytes, &t.table, At(t.now + 20'000));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->moved, 100u);
  bytes[8] = 3;
  SignSnapshot(&bytes);
  EXPECT_FALSE(Decode(bytes, &t.table, At(t.now)));
}

TEST(Snapshot, AfterAnotherBootTheWallClockCounts) {
  const std::string bytes = Sample();
  TestTable soon(64 * 1024);
  soon.now = 3'000;  // the machine has just started
  ASSERT_TRUE(Decode(bytes, &soon.table, At(soon.now, "boot-2", 5000 + 300)));
  EXPECT_EQ(soon.Peek(99).idle / 1s, 300);
  TestTable late(64 * 1024);
  const Result<Moved> none = Decode(bytes, &late.table, At(3'000, "boot-2", 5000 + 700));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->of, 0u);  // all expired meanwhile
  TestTable back(64 * 1024);
  back.now = 3'000;
  ASSERT_TRUE(Decode(bytes, &back.table, At(back.now, "boot-2", 10)));
  EXPECT_TRUE(back.Hit(99));  // a clock set back expires nothing
}

TEST(Snapshot, NewestFirstIntoASmallerTable) {
  TestTable big(512 * 1024);
  const uint16_t a = big.table.PeerIndex("a");
  for (uint64_t i = 0; i < 10'000; ++i) {
    big.Learn(i, a);
    if (i % 10 == 0) big.now += 100;
  }
  TestTable small(64 * 1024);
  const Moved moved = Migrate(big.table, &small.table, big.now);
  small.now = big.now;
  EXPECT_EQ(moved.of, 10'000u);
  EXPECT_EQ(moved.moved, small.table.Capacity());
  EXPECT_EQ(small.table.Check(small.now), "");
  // Ten share each tick: which of the oldest ten were moved is open.
  for (uint64_t i = 10'010 - moved.moved; i < 10'000; ++i) ASSERT_TRUE(small.Hit(i)) << i;
  // The order is kept too: what was idle longest is rotated first.
  for (uint64_t i = 20'000; i < 20'100; ++i) small.Learn(i, a);
  EXPECT_FALSE(small.Hit(10'020 - moved.moved));
  EXPECT_TRUE(small.Hit(9'999));
}

TEST(Snapshot, AFileIsReplacedWholeAndReadableByItsOwnerOnly) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("limpet-snapshot-" + std::to_string(::getpid()));
  TestTable t(64 * 1024);
  t.now = BootMs();
  t.Learn(1, t.table.PeerIndex("a"));
  ASSERT_TRUE(Save(t.table, path));
  t.Learn(2, t.table.PeerIndex("a"));
  ASSERT_TRUE(Save(t.table, path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  TestTable again(64 * 1024);
  again.now = t.now;
  const Result<Moved> moved = Load(path, &again.table);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->moved, 2u);
  EXPECT_TRUE(again.Hit(2));
  ::unlink(path.c_str());
  EXPECT_FALSE(Load(path, &again.table));
  EXPECT_FALSE(Save(t.table, "/nonexistent/state"));
}

// What has been made longer is not taken into memory to find that out.
TEST(Snapshot, AFileOfMoreThanItsHeaderSaysIsNotRead) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("limpet-long-" + std::to_string(::getpid()));
  TestTable t(64 * 1024);
  ASSERT_TRUE(Save(t.table, path));
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 40), 0);
  EXPECT_FALSE(Load(path, &t.table));
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 40), 0);
  EXPECT_FALSE(Load(path, &t.table));
  ::unlink(path.c_str());
}

TEST(Snapshot, HoldsNoSessionIdentifier) {
  TestTable t(64 * 1024);
  t.Learn(4711, t.table.PeerIndex("a"));
  EXPECT_EQ(Encode(t.table, At(t.now)).find("4711"), std::string::npos);
}

TEST(Snapshot, EveryTruncationIsRefusedAndLeavesTheTableEmpty) {
  const std::string bytes = Sample(20);
  TestTable t(64 * 1024);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(Decode(bytes.substr(0, size), &t.table, At(t.now))) << size;
  }
  ASSERT_FALSE(Decode(bytes + "x", &t.table, At(t.now)));
  EXPECT_EQ(t.table.Live(), 0u);
  EXPECT_EQ(t.table.peers().Find("a"), kNoPeer);
}

TEST(Snapshot, EveryFlippedBitIsRefused) {
  const std::string bytes = Sample(20);
  TestTable t(64 * 1024);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(Decode(damaged, &t.table, At(t.now))) << "bit " << bit;
  }
  EXPECT_EQ(t.table.Live(), 0u);
}

// Behind intact checksums, as if someone had meant it: whatever the records say, the table stays
// sound.
TEST(Snapshot, SignedNonsenseDoesNoHarm) {
  const std::string bytes = Sample(50);
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes;
    for (uint64_t n = random() % 8 + 1; n > 0; --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random() >> 56);
    }
    SignSnapshot(&damaged);
    TestTable t(32 * 1024);
    (void)Decode(damaged, &t.table, At(t.now));
    ASSERT_EQ(t.table.Check(t.now), "") << "round " << round;
    t.Learn(1, t.table.PeerIndex("a"));
    ASSERT_TRUE(t.Hit(1));
  }
}

}  // namespace
}  // namespace limpet::shm
