#include "worker/store/outbox.h"

#include <gmock/gmock.h>

#include <vector>

namespace limpet::worker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

StoreChange Change(uint64_t tag, uint64_t time, uint64_t ticket = 0) {
  return {.key = {tag, 0},
          .version = {time, 1 | shm::StoreVersion::kChange},
          .record = "r",
          .ticket = ticket};
}

StoreChange Offer(uint64_t tag, uint64_t time) {
  StoreChange change = Change(tag, time);
  change.version.machine = 1;
  return change;
}

// What waits, oldest first: the session and the time of its change.
std::vector<std::pair<uint64_t, uint64_t>> Empty(Outbox* outbox) {
  std::vector<std::pair<uint64_t, uint64_t>> all;
  while (const auto change = outbox->Take())
    all.emplace_back(change->key.tag, change->version.time);
  EXPECT_EQ(outbox->size(), 0u);
  return all;
}

TEST(Outbox, GivesChangesInTheirOrder) {
  Outbox outbox(8);
  EXPECT_TRUE(outbox.Add(Change(1, 10)));
  EXPECT_TRUE(outbox.Add(Change(2, 11)));
  EXPECT_TRUE(outbox.Add(Change(3, 12)));
  EXPECT_EQ(outbox.size(), 3u);
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(1, 10), Pair(2, 11), Pair(3, 12)));
  EXPECT_FALSE(outbox.Take());
}

TEST(Outbox, KeepsTheNewestOfASession) {
  Outbox outbox(8);
  outbox.Add(Change(1, 10));
  outbox.Add(Change(2, 11));
  EXPECT_TRUE(outbox.Add(Change(1, 12)));
  EXPECT_TRUE(outbox.Add(Change(2, 9)));   // older: forgotten
  EXPECT_TRUE(outbox.Add(Change(2, 11)));  // the same
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(2, 11), Pair(1, 12)));
}

TEST(Outbox, GivesTheEndsOfSessionsAway) {
  Outbox outbox(8);
  const auto add = [&outbox](uint64_t tag, StoreRecord::Kind kind, const char* server) {
    StoreChange change = Change(tag, 10 + tag);
    change.record = Encode(StoreRecord{change.version, kind, server});
    outbox.Add(std::move(change));
  };
  for (const uint64_t tag : {1, 3, 5}) add(tag, StoreRecord::Kind::kDeleted, "");
  for (const uint64_t tag : {2, 4}) add(tag, StoreRecord::Kind::kLives, "a");
  std::vector<uint64_t> given;
  outbox.TakeEnds([&given](const StoreChange& change) {
    if (given.size() == 2) return false;
    given.push_back(change.key.tag);
    return true;
  });
  EXPECT_THAT(given, ElementsAre(1, 3));
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(5, 15), Pair(2, 12), Pair(4, 14)));
}

TEST(Outbox, TellsSessionsOfTheSameTagApart) {
  Outbox outbox(8);
  StoreChange one = Change(1, 10), other = Change(1, 11);
  other.key.extra = 1;
  outbox.Add(one);
  outbox.Add(other);
  EXPECT_EQ(outbox.size(), 2u);
}

TEST(Outbox, GivesUpTheOldestWhenItIsFull) {
  Outbox outbox(2);
  outbox.Add(Change(1, 10));
  EXPECT_TRUE(outbox.Add(Change(2, 11)));
  EXPECT_FALSE(outbox.Add(Change(3, 12)));
  EXPECT_TRUE(outbox.Add(Change(2, 13)));  // no more than before
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(3, 12), Pair(2, 13)));
}

TEST(Outbox, GivesUpNothingForWhatIsOnlyWrittenAnew) {
  Outbox outbox(2);
  outbox.Add(Change(1, 10));
  EXPECT_TRUE(outbox.Add(Offer(2, 9)));
  EXPECT_FALSE(outbox.Add(Offer(3, 12)));
  EXPECT_FALSE(outbox.PutBack(Offer(4, 12)));
  EXPECT_TRUE(outbox.Add(Offer(2, 10)));  // no more than before
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(1, 10), Pair(2, 10)));
}

TEST(Outbox, PutsBackBeforeAllOthers) {
  Outbox outbox(8);
  outbox.Add(Change(1, 10));
  outbox.Add(Change(2, 11));
  outbox.Add(Change(3, 12));
  const auto first = outbox.Take(), second = outbox.Take();
  EXPECT_TRUE(outbox.PutBack(*second));
  EXPECT_TRUE(outbox.PutBack(*first));
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(1, 10), Pair(2, 11), Pair(3, 12)));
}

TEST(Outbox, DoesNotPutBackWhatHasANewerOne) {
  Outbox outbox(8);
  outbox.Add(Change(1, 10));
  const auto taken = outbox.Take();
  outbox.Add(Change(2, 11));
  outbox.Add(Change(1, 12));
  EXPECT_TRUE(outbox.PutBack(*taken));
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(2, 11), Pair(1, 12)));
}

TEST(Outbox, GivesUpWhatIsPutBackWhenItIsFullOfYoungerOnes) {
  Outbox outbox(2);
  outbox.Add(Change(1, 10));
  const auto taken = outbox.Take();
  outbox.Add(Change(2, 11));
  outbox.Add(Change(3, 12));
  EXPECT_FALSE(outbox.PutBack(*taken));
  EXPECT_THAT(Empty(&outbox), ElementsAre(Pair(2, 11), Pair(3, 12)));
}

TEST(Outbox, LetsWhoWaitsForAChangeHearOfItsSuccessor) {
  Outbox outbox(8);
  outbox.Add(Change(1, 10, 7));
  outbox.Add(Change(1, 11));
  EXPECT_EQ(outbox.Take()->ticket, 7u);
  outbox.Add(Change(1, 12));
  outbox.PutBack(Change(1, 11, 8));
  EXPECT_EQ(outbox.Take()->ticket, 8u);
  outbox.Add(Change(1, 13, 9));
  outbox.Add(Change(1, 14, 10));  // has one of its own
  EXPECT_EQ(outbox.Take()->ticket, 10u);
}

TEST(Outbox, WithoutRoomTakesNothing) {
  Outbox outbox(0);
  EXPECT_FALSE(outbox.Add(Change(1, 10)));
  EXPECT_THAT(Empty(&outbox), IsEmpty());
}

}  // namespace
}  // namespace limpet::worker
