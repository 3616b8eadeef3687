// A zone whose key is another one by now: what its sessions under the earlier key live through.
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/hash.h"
#include "shm/late_sessions.h"
#include "tests/shm/session_zone_fixture.h"

namespace limpet::shm {
namespace {

class RekeyedZoneTest : public SessionZoneTest {
 protected:
  ~RekeyedZoneTest() override {
    std::filesystem::remove(SessionZone::EarlierName(options_.snapshot_path));
  }
  // Five sessions under the zone's first key, one under the present one.
  SessionZone Rekeyed() {
    {
      SessionZone zone = Open();
      first_ = zone.table().secret();
      Learn(zone, 0, 5);
    }
    options_.secret = RandomSipKey();
    SessionZone zone = Open();
    EXPECT_EQ(zone.origin(), Origin::kRekeyed);
    Learn(zone, 5, 6);
    return zone;
  }
  // As the master keeps it.
  void Keep(SessionZone& zone) {
    while (auto earlier = zone.TakeEarlier()) {
      const SessionTable table = *SessionTable::Attach(earlier->data(), earlier->size());
      const bool same = table.secret() == zone.table().secret();
      late_.Add(std::move(*earlier), table, now_,
                same ? LateSessions::Key::kSame : LateSessions::Key::kOther,
                same ? "" : zone.EarlierName());
    }
    zone.table().set_late(&late_);
  }
  // A clean one, of a zone whose earlier sessions are kept.
  void Stop(SessionZone zone) {
    if (late_.empty()) Keep(zone);
    ASSERT_TRUE(late_.SaveRekeyed(SessionZone::EarlierName(options_.snapshot_path), now_));
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
    late_.RemoveNames();
    late_ = {};
  }
  void Write(SessionZone& zone) {
    if (late_.empty()) Keep(zone);
    ASSERT_TRUE(late_.SaveRekeyed(SessionZone::EarlierName(options_.snapshot_path), now_));
    ASSERT_TRUE(zone.Save(options_.snapshot_path));
  }
  LookupResult Former(SessionZone& zone, uint64_t n) {
    return zone.table().FindFormer(std::to_string(n), now_).result;
  }
  void ExpectAll(SessionZone& zone) {
    Keep(zone);
    EXPECT_TRUE(Has(zone, 5));
    for (uint64_t n = 0; n < 5; ++n) EXPECT_EQ(Former(zone, n), LookupResult::kHit);
    EXPECT_EQ(Former(zone, 5), LookupResult::kMiss);
  }

  LateSessions late_;
  SipKey first_{};
};

TEST_F(RekeyedZoneTest, SessionsUnderTheEarlierKeyAreFoundByTheNextProcess) {
  { SessionZone zone = Rekeyed(); }
  SessionZone zone = Open();
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, AKeyThatIsTakenBackFindsItsSessionsAgain) {
  const SipKey later = [this] {
    SessionZone zone = Rekeyed();
    return zone.table().secret();
  }();
  {
    options_.secret = first_;
    SessionZone zone = Open();
    EXPECT_EQ(zone.origin(), Origin::kReattached);
    for (uint64_t n = 0; n < 5; ++n) EXPECT_TRUE(Has(zone, n));
    Keep(zone);
    EXPECT_EQ(Former(zone, 5), LookupResult::kHit);
  }
  late_ = {};
  options_.secret = later;  // and once more the other way
  SessionZone zone = Open();
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, InAnotherSizeToo) {
  { SessionZone zone = Rekeyed(); }
  options_.bytes *= 2;
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kMigrated);
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, TheyOutliveACleanStop) {
  const std::string path = SessionZone::EarlierName(options_.snapshot_path);
  {
    SessionZone zone = Rekeyed();
    Keep(zone);
    ASSERT_TRUE(late_.SaveRekeyed(path, now_));
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
    late_.RemoveNames();
    EXPECT_TRUE(Zone::OwnNames(options_.name).empty());
  }
  late_ = {};
  SessionZone zone = Open();
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, AKeyThatIsTakenBackAfterACleanStopFindsThemAgain) {
  for (int way = 0; way < 2; ++way) {  // there and back
    if (way == 0) Stop(Rekeyed());
    const SipKey later = std::exchange(*options_.secret, first_);
    {
      SessionZone zone = Open();
      EXPECT_EQ(zone.origin(), Origin::kLoaded);
      for (uint64_t n = 0; n < 5; ++n) EXPECT_TRUE(Has(zone, n));
      Keep(zone);
      EXPECT_EQ(Former(zone, 5), LookupResult::kHit);
      Stop(std::move(zone));
    }
    options_.secret = later;
    SessionZone zone = Open();
    ExpectAll(zone);
    Stop(std::move(zone));
  }
}

TEST_F(RekeyedZoneTest, TheSnapshotsOfAKeyThatIsTakenBackChangePlaces) {
  const SipKey later = [this] {
    SessionZone zone = Rekeyed();
    Write(zone);
    return zone.table().secret();
  }();
  late_ = {};
  options_.secret = first_;
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kReattached);
  EXPECT_EQ(KeyOfSnapshot(options_.snapshot_path), first_);
  EXPECT_EQ(KeyOfSnapshot(SessionZone::EarlierName(options_.snapshot_path)), later);
}

TEST_F(RekeyedZoneTest, TheOnlySnapshotIsTheZonesIfTheKeyIsTakenBack) {
  Stop(Rekeyed());
  std::filesystem::remove(options_.snapshot_path);
  options_.secret = first_;
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kLoaded);
  for (uint64_t n = 0; n < 5; ++n) EXPECT_TRUE(Has(zone, n));
  EXPECT_EQ(KeyOfSnapshot(options_.snapshot_path), first_);
}

// Its snapshot could not be written, the zone's could.
TEST_F(RekeyedZoneTest, AKeyThatIsTakenBackFindsThemInMemoryOnly) {
  {
    SessionZone zone = Rekeyed();
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  options_.secret = first_;
  SessionZone zone = Open();
  for (uint64_t n = 0; n < 5; ++n) EXPECT_TRUE(Has(zone, n));
  Keep(zone);
  EXPECT_EQ(Former(zone, 5), LookupResult::kHit);
}

TEST_F(RekeyedZoneTest, TheyWaitInTheirSnapshotForMemory) {
  Stop(Rekeyed());
  const std::string in_the_way = "/dev/shm/" + SessionZone::EarlierName(options_.name);
  ASSERT_EQ(::mkdir(in_the_way.c_str(), 0700), 0);
  {
    SessionZone zone = Open();
    EXPECT_EQ(zone.earlier(), SessionZone::Earlier::kUnread);
    EXPECT_TRUE(Has(zone, 5));
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  std::filesystem::remove(in_the_way);
  SessionZone zone = Open();
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, TheyWaitOverAKillAndAnotherSizeToo) {
  Stop(Rekeyed());
  const std::string in_the_way = "/dev/shm/" + SessionZone::EarlierName(options_.name);
  for (const size_t size : {options_.bytes, 2 * options_.bytes}) {
    ASSERT_EQ(::mkdir(in_the_way.c_str(), 0700), 0);
    {
      SessionZone zone = Open();
      EXPECT_EQ(zone.earlier(), SessionZone::Earlier::kUnread);
    }
    std::filesystem::remove(in_the_way);
    options_.bytes = size;
    SessionZone zone = Open();
    EXPECT_EQ(zone.earlier(), SessionZone::Earlier::kLoaded);
    ExpectAll(zone);
    late_.RemoveNames();
    late_ = {};
  }
}

TEST_F(RekeyedZoneTest, WhatNobodyUsesIsRemovedWithThem) {
  std::optional<SessionZone> zone = Rekeyed();
  Keep(*zone);
  EXPECT_FALSE(SessionZone::RemoveUnused(options_.name));
  EXPECT_TRUE(zone->IsInPlace());
  EXPECT_TRUE(Zone::IsTaken(zone->EarlierName()));
  zone.reset();
  late_ = {};
  EXPECT_TRUE(SessionZone::RemoveUnused(options_.name));
  EXPECT_TRUE(Zone::OwnNames(options_.name).empty());
  EXPECT_TRUE(SessionZone::RemoveUnused(options_.name)) << "there is none";
}

TEST_F(RekeyedZoneTest, TheyStayInMemoryWhereTheyCannotBeWritten) {
  {
    SessionZone zone = Rekeyed();
    ASSERT_TRUE(zone.SaveAndRemove(options_.snapshot_path));
  }
  SessionZone zone = Open();
  EXPECT_EQ(zone.origin(), Origin::kLoaded);
  ExpectAll(zone);
}

TEST_F(RekeyedZoneTest, TheyGoWithTheZone) {
  SessionZone zone = Rekeyed();
  const std::string other = options_.name + "-other";
  ASSERT_TRUE(zone.Rename(other));
  EXPECT_EQ(Zone::OwnNames(options_.name + ".").size(), 0u);
  EXPECT_TRUE(Zone::IsTaken(SessionZone::EarlierName(other)));
  zone.Remove();
  EXPECT_TRUE(Zone::OwnNames(options_.name).empty());
}

TEST_F(RekeyedZoneTest, OnceAllAreOverTheyAreGone) {
  options_.policy.timeout = std::chrono::seconds(60);
  SessionZone zone = Rekeyed();
  Keep(zone);
  const std::string path = SessionZone::EarlierName(options_.snapshot_path);
  EXPECT_TRUE(late_.SaveRekeyed(path, now_));
  EXPECT_TRUE(std::filesystem::exists(path));
  now_ += 61'000;
  EXPECT_TRUE(late_.SaveRekeyed(path, now_));
  EXPECT_FALSE(std::filesystem::exists(path));
  while (late_.Step(&zone.table(), now_)) {
  }
  EXPECT_TRUE(late_.empty());
  EXPECT_FALSE(Zone::IsTaken(zone.EarlierName()));
}

}  // namespace
}  // namespace limpet::shm
