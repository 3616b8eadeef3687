#include "shm/store_state.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "shm/lease.h"

namespace limpet::shm {
namespace {

constexpr uint16_t kMachine = 7;
constexpr uint64_t kNow = 1'700'000'000'000;

class StoreStateTest : public testing::Test {
 protected:
  StoreStateTest() { state_.Init(kMachine); }

  // As the master maps it: zeroes.
  std::unique_ptr<std::byte[]> memory_ = std::make_unique<std::byte[]>(sizeof(StoreState) + 64);
  StoreState& state_ =
      *reinterpret_cast<StoreState*>((reinterpret_cast<uintptr_t>(memory_.get()) + 63) / 64 * 64);
};

TEST(NextStoreTime, IsTheWallsUnlessThatStandsOrGoesBack) {
  EXPECT_EQ(NextStoreTime(0, 5), 5u << 16);
  EXPECT_EQ(NextStoreTime(5u << 16, 5), (5u << 16) + 1);
  EXPECT_EQ(NextStoreTime((5u << 16) + 1, 4), (5u << 16) + 2);
  EXPECT_EQ(NextStoreTime((5u << 16) | 0xFFFF, 5), 6u << 16);  // 65,536 in one millisecond
}

TEST(NextStoreTime, BeginsAnewAfterAClockThatNobodyBelieves) {
  constexpr uint64_t kWall = 10 * kMostAheadMs;
  const uint64_t ahead = (kWall + kMostAheadMs) << 16;
  EXPECT_EQ(NextStoreTime(ahead, kWall), ahead + 1);
  EXPECT_EQ(NextStoreTime(ahead + 1, kWall), kWall << 16);
}

TEST_F(StoreStateTest, GivesEachChangeALaterTime) {
  const StoreVersion first = state_.Next(kNow), second = state_.Next(kNow);
  EXPECT_EQ(first.wall_ms(), kNow);
  EXPECT_TRUE(first.IsOf(kMachine));
  EXPECT_FALSE(first.IsOf(kMachine + 1));
  EXPECT_TRUE(first.IsChange());
  EXPECT_GT(second, first);
  const StoreVersion third = state_.Next(kNow - 10'000);  // the clock was set back
  EXPECT_GT(third, second);
  EXPECT_EQ(state_.Next(kNow + 1).time, (kNow + 1) << 16);
}

TEST_F(StoreStateTest, GivesLaterTimesThanThoseItHasSeen) {
  const StoreVersion seen{(kNow + 10'000) << 16 | 3, 9};
  state_.Observe(seen);
  const StoreVersion next = state_.Next(kNow);
  EXPECT_GT(next, seen);
  EXPECT_EQ(next.time, seen.time + 1);
  state_.Observe({1, 9});  // an old one does nothing
  EXPECT_EQ(state_.Next(kNow).time, seen.time + 2);
}

TEST_F(StoreStateTest, KnowsWhatIsNewerOfASession) {
  EXPECT_FALSE(state_.HasNewer(5, {0, 0}, kNow));
  state_.Note(5, {100, kMachine}, kNow);
  EXPECT_TRUE(state_.HasNewer(5, {99, 0xFFFF}, kNow));
  EXPECT_FALSE(state_.HasNewer(5, {100, 0}, kNow));
  EXPECT_FALSE(state_.HasNewer(5, {101, 0}, kNow));
  EXPECT_FALSE(state_.HasNewer(6, {0, 0}, kNow));
}

TEST_F(StoreStateTest, AnOlderNoteDoesNotTakeThePlaceOfANewerOne) {
  constexpr uint64_t kPlaces = 8192;
  state_.Note(5, {100, kMachine}, kNow, true);
  state_.Note(5 + kPlaces, {50, kMachine}, kNow);
  EXPECT_EQ(state_.NotedEnd(5, kNow), 100u);
  state_.Note(5 + kPlaces, {150, kMachine}, kNow);
  EXPECT_EQ(state_.NotedEnd(5, kNow), 0u);
  EXPECT_EQ(state_.NotedTime(5 + kPlaces, kNow), 150u);
}

TEST_F(StoreStateTest, KnowsWhichNoteIsOfAnEnd) {
  state_.Note(5, {100, kMachine}, kNow);
  EXPECT_EQ(state_.NotedEnd(5, kNow), 0u);
  state_.Note(5, {150, kMachine}, kNow, true);
  EXPECT_EQ(state_.NotedEnd(5, kNow), 150u);
  EXPECT_EQ(state_.NotedTime(5, kNow), 150u);
  EXPECT_TRUE(state_.HasNewer(5, {149, kMachine}, kNow));
  EXPECT_FALSE(state_.HasNewer(5, {150, kMachine}, kNow));
  state_.Note(5, {120, kMachine}, kNow);
  EXPECT_EQ(state_.NotedEnd(5, kNow), 150u);
  state_.Note(5, {200, kMachine}, kNow);  // it has begun again
  EXPECT_EQ(state_.NotedEnd(5, kNow), 0u);
  EXPECT_EQ(state_.NotedEnd(6, kNow), 0u);
}

TEST_F(StoreStateTest, DoesNotForgetANewerNoteForAnOlderOne) {
  state_.Note(5, {100, kMachine}, kNow);
  state_.Note(5, {50, kMachine}, kNow);
  EXPECT_TRUE(state_.HasNewer(5, {99, 0}, kNow));
  state_.Note(5, {150, kMachine}, kNow);
  EXPECT_TRUE(state_.HasNewer(5, {149, 0}, kNow));
}

// What a clock that was days ahead has noted would shut out all changes for days.
TEST_F(StoreStateTest, ForgetsWhatAWrongClockHasNoted) {
  constexpr uint64_t kAhead = kNow + 3 * kMostAheadMs;
  state_.Note(5, {kAhead << 16, kMachine}, kAhead);
  EXPECT_EQ(state_.NotedTime(5, kAhead), kAhead << 16);
  EXPECT_EQ(state_.NotedTime(5, kNow), 0u);
  EXPECT_FALSE(state_.HasNewer(5, {1, 0}, kNow));
  state_.Note(5, {kNow << 16, kMachine}, kNow);
  EXPECT_EQ(state_.NotedTime(5, kNow), kNow << 16);
}

TEST_F(StoreStateTest, AllIsDueOnceAWrongClockHasBeenSetRight) {
  (void)state_.Next(kNow + 3 * kMostAheadMs);
  EXPECT_EQ(state_.all_due, 0u);
  EXPECT_EQ(state_.Next(kNow).wall_ms(), kNow);
  EXPECT_EQ(state_.all_due, 1u);
}

// Two workers note changes of one session at once: the newest of all stays.
TEST_F(StoreStateTest, DoesNotForgetANewerNoteForAnOlderOneOfAnotherWorker) {
  for (uint64_t round = 1; round <= 20'000; ++round) {
    const uint64_t old = 2 * round, newest = old + 1;
    std::atomic<int> ready = 0;
    const auto note = [&](uint64_t time) {
      ++ready;
      while (ready < 2) std::this_thread::yield();  // beside others a spinning one would wait long
      state_.Note(5, {time, kMachine}, kNow);
    };
    std::thread other(note, old);
    note(newest);
    other.join();
    ASSERT_EQ(state_.NotedTime(5, kNow), newest) << "round " << round;
  }
}

TEST_F(StoreStateTest, RemembersTheLastOfThoseThatShareAPlace) {
  constexpr uint64_t kPlaces = 8192;
  for (uint64_t tag = 1; tag <= kPlaces; ++tag) state_.Note(tag, {tag + 1, kMachine}, kNow);
  for (uint64_t tag = 1; tag <= kPlaces; ++tag) EXPECT_TRUE(state_.HasNewer(tag, {tag, 0}, kNow));
  state_.Note(5 + kPlaces, {50, kMachine}, kNow);
  EXPECT_FALSE(state_.HasNewer(5, {0, 0}, kNow));
  EXPECT_TRUE(state_.HasNewer(5 + kPlaces, {49, 0}, kNow));
}

TEST_F(StoreStateTest, LetsOneFollowTheChanges) {
  Lease one(&state_.follow_mutex());
  EXPECT_TRUE(one.TryTake());
  bool other_has_it = true;
  std::thread([&] { other_has_it = Lease(&state_.follow_mutex()).TryTake(); }).join();
  EXPECT_FALSE(other_has_it);
}

TEST_F(StoreStateTest, GivesNoTimeTwiceToManyWorkers) {
  constexpr int kWorkers = 4;
  constexpr size_t kEach = 5000;
  std::vector<std::vector<uint64_t>> times(kWorkers);
  std::vector<std::thread> workers;
  for (auto& mine : times) {
    workers.emplace_back([this, &mine] {
      for (size_t i = 0; i < kEach; ++i) {
        mine.push_back(state_.Next(kNow).time);
        state_.Observe({mine.back() + i % 3, 1});
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  std::set<uint64_t> all;
  for (const auto& mine : times) {
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    all.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(all.size(), kWorkers * kEach);
}

// A change stays until whoever tells the store of it says that it has arrived.
TEST_F(StoreStateTest, KeepsWhatWasLeftForTheStoreUntilItIsDropped) {
  const SessionRecord moved{.tag = 5, .last_tick = 0, .extra = 0x8003, .place = 1};
  const SessionRecord gone{.tag = 6, .last_tick = 0, .extra = 1, .place = kNoPeer};
  EXPECT_TRUE(state_.Relay(std::array{moved, gone}, PeerDirectory{}, kNow));
  EXPECT_EQ(state_.Waiting(), 2u);
  std::array<RelayedChange, 8> changes{};
  for (int look = 0; look < 2; ++look) ASSERT_EQ(state_.relay.Peek(changes), 2u);
  EXPECT_EQ(changes[0].tag, 5u);
  EXPECT_EQ(changes[0].extra, 3u);
  EXPECT_EQ(changes[1].peer, kNoPeer);
  EXPECT_EQ(state_.relay.Peek(std::span(changes).first(1)), 1u);
  state_.relay.Drop(1);
  EXPECT_EQ(state_.relay.Peek(changes), 1u);
  EXPECT_EQ(changes[0].tag, 6u);
  state_.relay.Drop(7);
  EXPECT_EQ(state_.Waiting(), 0u);
}

TEST_F(StoreStateTest, SaysThatThereIsNoRoomForAChange) {
  const std::vector<SessionRecord> many(StoreRelay::kPlaces - 1, {.tag = 5, .place = kNoPeer});
  EXPECT_TRUE(state_.Relay(many, PeerDirectory{}, kNow));
  EXPECT_FALSE(state_.Relay(std::span(many).first(2), PeerDirectory{}, kNow));
  EXPECT_EQ(state_.figures.dropped, 1u);
}

TEST_F(StoreStateTest, WorkersLeaveTheApiAQuarterOfTheRoom) {
  std::vector<RelayedChange> most(StoreRelay::kPlaces - StoreRelay::kReserve - 1);
  EXPECT_EQ(state_.relay.Push(most), most.size());
  EXPECT_TRUE(state_.relay.HasRoomForWorkers());
  EXPECT_EQ(state_.relay.Push(std::span(most).first(1)), 1u);
  EXPECT_FALSE(state_.relay.HasRoomForWorkers());
  EXPECT_EQ(state_.relay.Room(), StoreRelay::kReserve);
  EXPECT_EQ(state_.relay.Push(most), StoreRelay::kReserve);
  EXPECT_EQ(state_.relay.Room(), 0u);
}

// Two sessions in one place, noted at once: what is read of one is never of the other.
TEST_F(StoreStateTest, MixesNoNotesOfTwoWorkers) {
  constexpr uint64_t kOne = 3, kOther = 3 + 8192;
  constexpr uint64_t kEarly = 1000, kLate = 1'000'000;
  std::vector<std::thread> workers;
  workers.emplace_back([&] {
    for (int i = 0; i < 20'000; ++i) state_.Note(kOne, {kEarly, kMachine}, kNow);
  });
  workers.emplace_back([&] {
    for (int i = 0; i < 20'000; ++i) state_.Note(kOther, {kLate, kMachine}, kNow);
  });
  for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(state_.HasNewer(kOne, {kEarly, 0}, kNow));
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace limpet::shm
