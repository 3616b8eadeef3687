#include "shm/session_zone.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>
#include <vector>

#include "tests/shm/session_zone_fixture.h"

namespace limpet::shm {
namespace {

TEST_F(SessionZoneTest, IsFreshOnceAndThenFoundAgain) {
  {
    SessionZone zone = Open();
    EXPECT_EQ(zone.origin(), Origin::kFresh);
    EXPECT_TRUE(zone.lines().empty());
    Learn(zone, 0, 100);
    SessionZone reload = Open();  // both mapped at once
    EXPECT_EQ(reload.origin(), Origin::kReattached);
    EXPECT_EQ(reload.kept(), 100u);
    EXPECT_TRUE(reload.lines().empty());
    EXPECT_TRUE(Has(reload, 7));
  }
  SessionZone zone = Open();  // nobody was left: as after a crash of all
  EXPECT_EQ(zone.origin(), Origin::kReattached);
  EXPECT_EQ(zone.kept(), 100u);
  ASSERT_EQ(zone.lines().size(), 1u);
}

TEST_F(SessionZoneTest, ACrashInsideALockIsRepaired) {
  const pid_t child = ::fork();
  if (child == 0) {
    SessionZone zone = Open();
    Learn(zone, 0, 100);
    Geometry g = Geometry::For(options_.bytes);
    Result<Zone> memory = Zone::Open(options_.name);
    for (uint32_t i = 0; i < g.shards; ++i) {
      Shard shard(memory->data() + g.shards_offset + uint64_t{i} * g.shard_bytes, g);
      (void)shard.head().lock.Lock();
      shard.head().live = 12345;
    }
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  SessionZone zone = Open();
  EXPECT_EQ(zone.kept(), 100u);
  EXPECT_EQ(zone.table().Check(now_), "");
  Learn(zone, 100, 200);
  EXPECT_EQ(zone.table().Live(), 200u);
}

TEST_F(SessionZoneTest, AnotherSizeMovesTheNewest) {
  SessionZone old = Open();
  const uint64_t full = old.table().Capacity() * 9 / 10;
  for (uint64_t i = 0; i < full; i += 100, now_ += 100) Learn(old, i, std::min(i + 100, full));
  options_.bytes = 128 * 1024;
  SessionZone small = Open();
  EXPECT_EQ(small.origin(), Origin::kMigrated);
  EXPECT_EQ(small.kept(), small.table().Capacity());
  EXPECT_TRUE(Has(small, full - 1));
  EXPECT_FALSE(Has(small, 0));
  ASSERT_EQ(small.lines().size(), 1u);
  EXPECT_EQ(small.lines()[0].level, LogLevel::kWarn);
  options_.bytes = 512 * 1024;
  SessionZone big = Open();
  EXPECT_EQ(big.kept(), small.kept());
  EXPECT_EQ(big.lines()[0].level, LogLevel::kNotice);
  EXPECT_TRUE(Has(big, full - 1));
  EXPECT_TRUE(Has(old, 0));  // who still maps the old one goes on with it
}

// As a binary of before left it, that may still be working with it.
TEST_F(SessionZoneTest, TheEarlierLayoutIsMovedOver) {
  SessionZone old = Open();
  Learn(old, 0, 100);
  auto memory = Zone::Open(options_.name);
  ASSERT_TRUE(memory);
  reinterpret_cast<ZoneHeader*>(memory->data())->version = kEarlierLayout;
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kMigrated);
  EXPECT_EQ(zone.kept(), 100u);
  ASSERT_EQ(zone.lines().size(), 1u);
  EXPECT_THAT(zone.lines()[0].text, testing::HasSubstr("has another layout: 100 of 100 sessions"));
  EXPECT_TRUE(Has(zone, 99));
  EXPECT_EQ(zone.table().Capacity(), old.table().Capacity());
  EXPECT_EQ(zone.table().Check(now_), "");
  EXPECT_FALSE(zone.table().of_earlier_layout());
  EXPECT_TRUE(zone.TakeEarlier());
}

TEST_F(SessionZoneTest, ACleanStopIsReadBack) {
  {
    SessionZone zone = Open();
    Learn(zone, 0, 100);
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  EXPECT_FALSE(Zone::Open(options_.name));
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kLoaded);
  EXPECT_EQ(zone.kept(), 100u);
  EXPECT_TRUE(Has(zone, 42));
  EXPECT_TRUE(std::filesystem::exists(options_.snapshot_path)) << "until the next takes its place";
}

TEST_F(SessionZoneTest, IsSavedWhileItIsInUse) {
  SessionZone zone = Open();
  Learn(zone, 0, 100);
  ASSERT_TRUE(zone.Save(options_.snapshot_path));
  Learn(zone, 100, 150);
  EXPECT_TRUE(Has(zone, 149));
  Zone::Remove(options_.name);  // as with a container that was killed
  SessionZone next = Open();
  EXPECT_EQ(next.origin(), Origin::kLoaded);
  EXPECT_EQ(next.kept(), 100u);
}

// Whenever it is killed while it starts: the next start has all of the snapshot.
TEST_F(SessionZoneTest, AStartThatIsKilledLosesNothing) {
  constexpr uint64_t kSessions = 20'000;
  options_.bytes = 4 * 1024 * 1024;
  {
    SessionZone zone = Open();
    Learn(zone, 0, kSessions);
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t killed = ::fork();
    if (killed == 0) {
      (void)SessionZone::OpenOrCreate(options_, now_);
      ::_exit(0);
    }
    while (Zone::OwnNames(options_.name).empty()) {
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(250 * round);
    while (std::chrono::steady_clock::now() < until) {
    }
    ::kill(killed, SIGKILL);
    ASSERT_EQ(::waitpid(killed, nullptr, 0), killed);
    SessionZone zone = Open();
    EXPECT_EQ(zone.table().Live(), kSessions) << "round " << round;
    EXPECT_TRUE(Has(zone, 0) && Has(zone, kSessions - 1));
    zone.Remove();
    for (const std::string& left : Zone::OwnNames(options_.name)) {
      EXPECT_FALSE(Zone::Open(left)) << left << " is more than an empty name";
      Zone::Remove(left);
    }
  }
}

TEST_F(SessionZoneTest, ADamagedFileIsSetAside) {
  std::ofstream(options_.snapshot_path) << "not a snapshot";
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kFresh);
  ASSERT_EQ(zone.lines().size(), 1u);
  EXPECT_EQ(zone.lines()[0].level, LogLevel::kWarn);
  EXPECT_TRUE(std::filesystem::exists(options_.snapshot_path + ".bad"));
}

TEST_F(SessionZoneTest, DamagedMemoryIsSetAside) {
  {
    Result<Zone> junk = Zone::Create(options_.name, options_.bytes);
    ASSERT_TRUE(junk);
    junk->data()[0] = std::byte{77};
  }
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kFresh);
  ASSERT_EQ(zone.lines().size(), 1u);
  EXPECT_EQ(zone.lines()[0].level, LogLevel::kWarn);
  EXPECT_TRUE(Zone::Open(options_.name + ".bad"));
}

// What somebody else may have put where the zone should be.
using Squat = void (*)(const std::string& path);
class SquattedZoneTest : public SessionZoneTest, public testing::WithParamInterface<Squat> {
 protected:
  const std::string path_ = "/dev/shm/" + options_.name;
};

INSTANTIATE_TEST_SUITE_P(
    All, SquattedZoneTest,
    testing::Values([](const std::string& path) { std::ofstream(path) << "theirs"; },
                    [](const std::string& path) { (void)!::symlink("/etc/passwd", path.c_str()); },
                    [](const std::string& path) { (void)!::symlink("/nowhere", path.c_str()); },
                    [](const std::string& path) { ::mkfifo(path.c_str(), 0600); },
                    [](const std::string& path) { ::mkdir(path.c_str(), 0700); }));

TEST_P(SquattedZoneTest, TakesAnotherNameAndIsFoundThere) {
  GetParam()(path_);
  const auto before = std::filesystem::symlink_status(path_).type();
  {
    SessionZone zone = Open();
    EXPECT_EQ(zone.origin(), Origin::kFresh);
    ASSERT_EQ(zone.lines().size(), 1u);
    EXPECT_EQ(zone.lines()[0].level, LogLevel::kWarn);
    EXPECT_NE(zone.lines()[0].text.find("is not ours alone"), std::string::npos);
    Learn(zone, 0, 100);
    SessionZone reload = Open();
    EXPECT_EQ(reload.kept(), 100u);
  }
  EXPECT_EQ(std::filesystem::symlink_status(path_).type(), before) << "it is left alone";
  SessionZone found = Open();
  EXPECT_EQ(found.origin(), Origin::kReattached);
  EXPECT_TRUE(Has(found, 42));
  options_.bytes = 128 * 1024;
  SessionZone moved = Open();
  EXPECT_EQ(moved.origin(), Origin::kMigrated);
  EXPECT_TRUE(Has(moved, 42));
}

TEST_P(SquattedZoneTest, IsFoundWhenTheNameIsFreeAgain) {
  GetParam()(path_);
  {
    SessionZone zone = Open();
    Learn(zone, 0, 100);
  }
  std::filesystem::remove_all(path_);
  SessionZone zone = Open();
  EXPECT_EQ(zone.kept(), 100u);
  ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  EXPECT_TRUE(Zone::OwnNames(options_.name).empty());
}

TEST_F(SessionZoneTest, OfAnotherUserIsLeftToThem) {
  const std::string path = "/dev/shm/" + options_.name;
  { ASSERT_TRUE(Zone::Create(options_.name, options_.bytes)); }
  if (::chown(path.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root gives files away";
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kFresh);
  EXPECT_EQ(zone.lines().size(), 1u);
}

TEST_F(SessionZoneTest, TwoMayMoveItAtOnce) {
  const SessionZone zone = Open();
  const auto one = zone.Reserve(options_.bytes), other = zone.Reserve(options_.bytes);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(Zone::OwnNames(options_.name + ".new").size(), 2u);
}

TEST_F(SessionZoneTest, MemoryOfAMoveThatWasKilledIsGivenBackByTheNext) {
  const SessionZone zone = Open();
  const std::string left = options_.name + ".new~0123456789abcdef";
  { ASSERT_TRUE(Zone::Create(left, 4096)); }
  EXPECT_TRUE(Zone::IsTaken(left));
  EXPECT_TRUE(zone.Reserve(options_.bytes));
  EXPECT_FALSE(Zone::IsTaken(left));
}

TEST_F(SessionZoneTest, MovesWhereTheNameOnTheWayIsTaken) {
  {
    SessionZone zone = Open();
    Learn(zone, 0, 100);
  }
  ::mkdir(("/dev/shm/" + options_.name + ".new").c_str(), 0700);
  options_.bytes = 128 * 1024;
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kMigrated);
  EXPECT_TRUE(Has(zone, 42));
}

TEST_F(SessionZoneTest, ASnapshotThatIsNotOursIsSetAside) {
  {
    SessionZone zone = Open();
    Learn(zone, 0, 100);
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  const std::string path = options_.snapshot_path, elsewhere = path + ".elsewhere";
  const std::vector<std::pair<const char*, std::function<void()>>> ways = {
      {"writable", [&] { ::chmod(path.c_str(), 0666); }},
      {"a link",
       [&] {
         std::filesystem::rename(path, elsewhere);
         std::filesystem::create_symlink(elsewhere, path);
       }},
      {"a FIFO", [&] {
         std::filesystem::remove(path);
         ::mkfifo(path.c_str(), 0600);
       }}};
  for (const auto& [name, change] : ways) {
    const std::string saved = path + ".saved";
    std::filesystem::copy_file(path, saved);
    change();
    SessionZone zone = Open();
    EXPECT_EQ(zone.origin(), Origin::kFresh) << name;
    ASSERT_EQ(zone.lines().size(), 1u) << name;
    EXPECT_NE(zone.lines()[0].text.find("was set aside"), std::string::npos) << name;
    zone.Remove();
    std::filesystem::remove(path + ".bad");
    std::filesystem::rename(saved, path);
  }
  std::filesystem::remove(elsewhere);
}

TEST_F(SessionZoneTest, AZoneIsOursAloneByMode) {
  const SessionZone zone = Open();
  struct stat status {};
  ASSERT_EQ(::stat(("/dev/shm/" + options_.name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(static_cast<size_t>(status.st_size), options_.bytes);
}

}  // namespace
}  // namespace limpet::shm
