#include "master/session_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/own_file.h"
#include "base/unique_fd.h"
#include "shm/snapshot.h"

namespace limpet::master {
namespace {

struct Lines : LogTarget {
  void Write(LogLevel, std::string_view message) override { all.emplace_back(message); }
  Status Reopen() override { return {}; }
  std::vector<std::string> all;
};

class SessionStoreTest : public testing::Test {
 protected:
  SessionStoreTest() {
    config_.state_path = folder_;
    config_.http = std::make_unique<conf::Http>();
    config_.http->session_stores.emplace_back();
    zone_.name = "z";
    zone_.size = 256 * 1024;
    zone_.store = 0;
    log_.Add(&lines_, LogLevel::kError);
  }
  ~SessionStoreTest() override {
    for (const std::string& name : SessionStore::ObjectsOf(home_)) shm::Zone::Remove(name);
    std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<SessionStore> Open(const std::vector<SipKey>& keys) {
    config_.http->session_stores[0].keys = keys;
    auto store = SessionStore::Open(home_, config_, zone_, log_);
    EXPECT_TRUE(store) << store.error().message;
    return store ? *std::move(store) : nullptr;
  }
  static void Learn(SessionStore& store, std::string_view id) {
    shm::SessionTable* const table = store.table();
    table->Learn(table->KeyOf(id), table->PeerIndex("a"), BootMs());
  }

  const std::string home_ = "/limpet-test-" + std::to_string(::getpid()) + ".pid";
  const std::string folder_ = std::filesystem::temp_directory_path() / home_.substr(1);
  conf::Config config_;
  conf::SessionZone zone_;
  Lines lines_;
  Log log_;
};

TEST_F(SessionStoreTest, ThatFindsNoMemoryNamesItsZone) {
  const auto space = std::filesystem::space("/dev/shm");
  zone_.size = space.capacity + 4096;
  const auto store = SessionStore::Open(home_, config_, zone_, log_);
  ASSERT_FALSE(store);
  EXPECT_TRUE(store.error().message.starts_with("session zone \"z\": ")) << store.error().message;
}

TEST_F(SessionStoreTest, ThatHasNoMemoryForAnotherSizeNamesItsZoneAndGoesOn) {
  const auto store = Open({SipKey{}});
  Learn(*store, "one");
  zone_.size = std::filesystem::space("/dev/shm").capacity + 4096;
  const Status prepared = store->Prepare(config_, zone_);
  ASSERT_FALSE(prepared);
  EXPECT_TRUE(prepared.error().message.starts_with("session zone \"z\": "));
  EXPECT_EQ(store->table()->Live(), 1u);
}

// As a file system leaves the files that cannot exchange them.
TEST_F(SessionStoreTest, TheOnlyCopyOfAKeyThatIsTakenBackIsWrittenOverLast) {
  const SipKey first{1}, later{2};
  auto store = Open({first});
  Learn(*store, "1");
  ASSERT_TRUE(store->Save(log_));
  store.reset();
  store = Open({later, first});
  Learn(*store, "2");
  ASSERT_TRUE(store->Save(log_));
  const std::string present = store->snapshot_path(), earlier = store->EarlierPath();
  store.reset();
  ASSERT_EQ(shm::KeyOfSnapshot(earlier), first);
  store = Open({first, later});
  if (shm::KeyOfSnapshot(present) == first) {
    ASSERT_TRUE(ExchangeFiles(present, earlier));
  }
  std::filesystem::remove(present);
  std::filesystem::create_directories(present + "/in the way");
  EXPECT_FALSE(store->Save(log_));
  EXPECT_EQ(shm::KeyOfSnapshot(earlier), first);
  std::filesystem::remove_all(present);
  EXPECT_TRUE(store->Save(log_));
  EXPECT_EQ(shm::KeyOfSnapshot(present), first);
  EXPECT_EQ(shm::KeyOfSnapshot(earlier), later);
}

// Kin of a process that was killed while it looked who else has the memory.
TEST_F(SessionStoreTest, MemoryThatOthersKeepLockedIsHeldOnceTheyHaveGone) {
  (void)Open({SipKey{1}});
  const std::vector<std::string> names = SessionStore::ObjectsOf(home_);
  ASSERT_EQ(names.size(), 1u);
  UniqueFd kin(::open(("/dev/shm/" + names[0]).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(kin.get(), LOCK_EX | LOCK_NB), 0);
  const auto store = Open({SipKey{1}});
  const auto counters = std::make_unique<shm::Counters>();
  uint64_t now = MonotonicMs();
  const auto tick = [&] { store->Tick(now += 2000, log_, *counters); };
  tick();
  tick();
  ASSERT_EQ(lines_.all.size(), 1u);
  EXPECT_NE(lines_.all[0].find("keep its memory locked"), std::string::npos);
  kin.Reset();
  tick();
  EXPECT_FALSE(shm::Zone::Open(names[0])->alone());
}

}  // namespace
}  // namespace limpet::master
