// A zone changes its size while others use it: what the old table hears reaches the new one.
#include "shm/late_sessions.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <utility>

#include "shm/session_zone.h"

namespace limpet::shm {
namespace {

using namespace std::chrono_literals;

class LateSessionsTest : public testing::Test {
 protected:
  LateSessionsTest() {
    options_.name = "limpet-late-" + std::to_string(::getpid());
    options_.bytes = 256 * 1024;
    options_.policy.timeout = 60s;
    old_.emplace(Open());
    a_ = old_->table().PeerIndex("a");
    old_->table().PeerIndex("b");
  }
  ~LateSessionsTest() override { Zone::Remove(options_.name); }

  SessionZone Open() { return *SessionZone::OpenOrCreate(options_, now_); }

  // The zone gets another size; the old one is still used.
  void Resize(size_t bytes = 512 * 1024) {
    options_.bytes = bytes;
    Change(LateSessions::Key::kSame);
  }
  void Rekey(LateSessions::Key key) {
    options_.secret = RandomSipKey();
    Change(key);
  }
  void Change(LateSessions::Key key) {
    new_.emplace(Open());
    Zone earlier = *new_->TakeEarlier();
    const SessionTable table = *SessionTable::Attach(earlier.data(), earlier.size());
    late_.Add(std::move(earlier), table, now_, key);
    new_->table().set_late(&late_);
  }
  std::vector<SessionRecord> ForgetServer(const char* name) {
    const uint16_t peer = new_->table().PeerIndex(name);
    std::vector<SessionRecord> told;
    PeerWalk walk;
    while (walk.more) new_->table().ForgetPeer(peer, 64, now_, &walk, &told);
    EXPECT_EQ(walk.changed, 1u);
    return told;
  }
  uint16_t Peer(SessionZone& zone, const char* name) { return zone.table().peers().Find(name); }
  void Learn(SessionZone& zone, const std::string& id, const char* peer) {
    zone.table().Learn(zone.table().KeyOf(id), Peer(zone, peer), now_);
  }
  bool Touch(SessionZone& zone, const std::string& id) {
    return zone.table().Touch(zone.table().KeyOf(id), now_);
  }
  // The name of a session's server in the new table; "" if there is none.
  std::string Where(const std::string& id) {
    SessionTable& table = new_->table();
    const Found found = table.Lookup(table.KeyOf(id), now_, false);
    return found.result == LookupResult::kHit ? table.PeerName(found.peer) : "";
  }
  // The same without asking the old one.
  std::string WhereHere(const std::string& id) {
    new_->table().set_late(nullptr);
    const std::string where = Where(id);
    new_->table().set_late(&late_);
    return where;
  }
  void Walk() {
    while (late_.Step(&new_->table(), now_)) {
    }
  }

  SessionZone::Options options_;
  uint64_t now_ = 1'000'000;
  std::optional<SessionZone> old_, new_;
  LateSessions late_;
  uint16_t a_ = 0;
};

TEST_F(LateSessionsTest, ASessionThatBeginsAtTheOldTableIsFoundAtOnce) {
  Resize();
  now_ += 200;
  Learn(*old_, "late", "b");
  EXPECT_EQ(Where("late"), "b");
  EXPECT_EQ(WhereHere("late"), "");  // looking takes no lock
  EXPECT_TRUE(Touch(*new_, "late"));
  EXPECT_EQ(WhereHere("late"), "b");
  EXPECT_EQ(new_->table().Check(now_), "");
}

TEST_F(LateSessionsTest, OneThatIsForgottenWhereNobodyHasBroughtItIsSaidToBe) {
  Resize();
  now_ += 200;
  Learn(*old_, "late", "b");
  SessionTable& table = new_->table();
  EXPECT_TRUE(table.Forget(table.KeyOf("late"), now_));
  EXPECT_FALSE(table.Forget(table.KeyOf("late"), now_));
  EXPECT_EQ(Where("late"), "");
}

TEST_F(LateSessionsTest, OneThatIsOnlyTouchedThereDoesNotEnd) {
  Learn(*old_, "tunnel", "a");
  Learn(*old_, "idle", "a");
  Resize();
  for (int i = 0; i < 5; ++i) {
    now_ += 30'000;
    EXPECT_TRUE(Touch(*old_, "tunnel"));
  }
  EXPECT_EQ(WhereHere("tunnel"), "");
  EXPECT_EQ(Where("tunnel"), "a");
  EXPECT_EQ(Where("idle"), "");
  Walk();
  EXPECT_EQ(WhereHere("tunnel"), "a");
  EXPECT_EQ(new_->table().Live(), 1u + 1u);  // `idle` is not collected yet
}

TEST_F(LateSessionsTest, OfATableThatNothingWasMovedFromAllIsNews) {
  Learn(*old_, "early", "a");
  now_ += 5000;
  Zone again = *old_->OpenAgain();
  const SessionTable table = *SessionTable::Attach(again.data(), again.size());
  Zone::Remove(options_.name);
  options_.secret = old_->table().secret();
  new_.emplace(Open());
  for (const char* peer : {"a", "b"}) new_->table().PeerIndex(peer);
  late_.Add(std::move(again), table, 0);
  new_->table().set_late(&late_);
  EXPECT_EQ(Where("early"), "a");
  EXPECT_EQ(WhereHere("early"), "");
  Walk();
  EXPECT_EQ(WhereHere("early"), "a");
  // From now on what is used there after the walk is.
  now_ += 5000;
  new_->table().Forget(new_->table().KeyOf("early"), now_);
  Learn(*old_, "late", "b");
  EXPECT_EQ(Where("early"), "");
  Walk();
  EXPECT_EQ(WhereHere("late"), "b");
  EXPECT_FALSE(late_.empty());
  old_.reset();  // the last who has used it
  Walk();
  Walk();
  EXPECT_TRUE(late_.empty());
}

TEST_F(LateSessionsTest, WhatTheNewTableKnowsBetterStays) {
  for (const char* id : {"moved", "forgotten", "untouched"}) Learn(*old_, id, "a");
  now_ += 5000;
  Resize();
  now_ += 5000;
  Learn(*new_, "moved", "b");
  new_->table().Forget(new_->table().KeyOf("forgotten"), now_);
  now_ += 5000;
  Touch(*old_, "moved");
  Learn(*old_, "untouched", "b");
  Walk();
  EXPECT_EQ(Where("moved"), "b");
  EXPECT_EQ(Where("forgotten"), "");
  EXPECT_EQ(Where("untouched"), "b");
}

TEST_F(LateSessionsTest, WhatIsBoundAnewAtTheOldTableIsKnownAtOnce) {
  for (const char* id : {"looked up", "touched", "peeked"}) Learn(*old_, id, "a");
  now_ += 5000;
  Resize();
  now_ += 5000;
  for (const char* id : {"looked up", "touched", "peeked"}) Learn(*old_, id, "b");
  SessionTable& table = new_->table();
  EXPECT_EQ(Where("looked up"), "b");
  EXPECT_EQ(table.PeerName(table.Peek(table.KeyOf("peeked"), now_).peer), "b");
  now_ += 5000;
  EXPECT_TRUE(Touch(*new_, "touched"));
  Walk();
  EXPECT_EQ(WhereHere("touched"), "b");
  EXPECT_EQ(table.Check(now_), "");
}

TEST_F(LateSessionsTest, ASessionThatBeginsAtAServerThatHasGoneHasItsPlaceThere) {
  Resize();
  now_ += 200;
  Learn(*old_, "late", "b");
  new_->table().RetirePeer(Peer(*new_, "b"));
  EXPECT_EQ(Where("late"), "b");
  Walk();
  EXPECT_EQ(WhereHere("late"), "b");
}

TEST_F(LateSessionsTest, NoneMovesToAServerThatHasGone) {
  Learn(*old_, "here", "a");
  now_ += 5000;
  Resize();
  now_ += 200;
  Learn(*old_, "here", "b");
  new_->table().RetirePeer(Peer(*new_, "b"));
  EXPECT_EQ(Where("here"), "a");
  Walk();
  EXPECT_EQ(WhereHere("here"), "a");
}

TEST_F(LateSessionsTest, TheOldTableIsLetGoWhenItsLastUserHasEnded) {
  const pid_t user = ::fork();  // has inherited the old zone, as a worker has
  if (user == 0) {
    for (;;) ::pause();
  }
  Resize();
  now_ += 200;
  Learn(*old_, "late", "b");
  old_.reset();  // the master's own
  Walk();
  EXPECT_FALSE(late_.empty());
  ::kill(user, SIGKILL);
  ::waitpid(user, nullptr, 0);
  Walk();
  EXPECT_TRUE(late_.empty());
  EXPECT_EQ(WhereHere("late"), "b");
}

// Else what processes of the old configuration go on with would come back.
TEST_F(LateSessionsTest, WhatIsForgottenOfAServerStaysForgotten) {
  Learn(*old_, "moved", "a");
  Resize();
  now_ += 200;
  Learn(*old_, "late", "a");
  Learn(*old_, "other", "b");
  Touch(*old_, "moved");
  PeerWalk walk;
  while (walk.more) new_->table().ForgetPeer(Peer(*new_, "a"), 64, now_, &walk);
  EXPECT_EQ(walk.changed, 2u);
  EXPECT_EQ(Where("moved") + Where("late"), "");
  now_ += 200;
  EXPECT_FALSE(Touch(*old_, "moved"));
  Walk();
  EXPECT_EQ(WhereHere("moved") + WhereHere("late"), "");
  EXPECT_EQ(WhereHere("other"), "b");
  EXPECT_EQ(new_->table().Live(), 1u);
  EXPECT_EQ(new_->table().Check(now_), "");
}

TEST_F(LateSessionsTest, WhatMovesToAnotherServerStaysThere) {
  Learn(*old_, "moved", "a");
  Resize();
  now_ += 200;
  Learn(*old_, "late", "a");
  PeerWalk walk;
  while (walk.more) new_->table().MovePeer(Peer(*new_, "a"), Peer(*new_, "b"), 64, now_, &walk);
  EXPECT_EQ(walk.changed, 2u);
  now_ += 200;
  Touch(*old_, "moved");
  Touch(*old_, "late");
  Walk();
  EXPECT_EQ(WhereHere("moved"), "b");
  EXPECT_EQ(WhereHere("late"), "b");
}

// The store has them under that key, too, and hears of it.
TEST_F(LateSessionsTest, WhatIsForgottenUnderAnEarlierKeyOfAStoreIsTold) {
  Learn(*old_, "gone", "a");
  Learn(*old_, "other", "b");
  const auto before = old_->table().ReadRecord(old_->table().KeyOf("gone"));
  Rekey(LateSessions::Key::kEarlierOfStore);
  const std::vector<SessionRecord> told = ForgetServer("a");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].tag, before->tag);
  EXPECT_EQ(told[0].extra & 0x7FFF, before->extra & 0x7FFF);
  EXPECT_EQ(told[0].peer(), kNoPeer);
  EXPECT_EQ(new_->table().FindFormer("gone", now_).result, LookupResult::kMiss);
}

TEST_F(LateSessionsTest, WhatNoStoreKnowsIsNotTold) {
  Learn(*old_, "gone", "a");
  Rekey(LateSessions::Key::kOther);
  EXPECT_EQ(ForgetServer("a").size(), 0u);
}

TEST_F(LateSessionsTest, WhatMovesUnderAnEarlierKeyMayGoToAServerThatIsNewSince) {
  Learn(*old_, "moved", "a");
  Rekey(LateSessions::Key::kEarlierOfStore);
  new_->table().PeerIndex("a");
  const uint16_t fresh = new_->table().PeerIndex("fresh");
  PeerWalk walk;
  std::vector<SessionRecord> told;
  while (walk.more) new_->table().MovePeer(Peer(*new_, "a"), fresh, 64, now_, &walk, &told);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].peer(), fresh);
  EXPECT_EQ(new_->table().FindFormer("moved", now_).peer, fresh);
}

TEST_F(LateSessionsTest, UnderAnEarlierKeyASessionOutlivesItsServer) {
  Learn(*old_, "left", "a");
  Rekey(LateSessions::Key::kOther);
  const Found found = new_->table().FindFormer("left", now_);
  EXPECT_EQ(found.result, LookupResult::kHit);
  EXPECT_EQ(found.peer, kNoPeer);
}

TEST_F(LateSessionsTest, ThroughTwoSizesAtOnce) {
  Resize();
  std::optional<SessionZone> first = std::move(old_);
  old_ = std::move(new_);
  Resize(1024 * 1024);
  now_ += 200;
  Learn(*first, "first", "a");
  Learn(*old_, "second", "b");
  EXPECT_EQ(Where("first"), "a");
  EXPECT_EQ(Where("second"), "b");
  late_.BringAll(&new_->table(), now_);
  EXPECT_EQ(WhereHere("first"), "a");
  EXPECT_EQ(WhereHere("second"), "b");
}

}  // namespace
}  // namespace limpet::shm
