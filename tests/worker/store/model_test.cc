#include "tests/worker/store/model.h"

#include <gtest/gtest.h>

#include <random>

namespace limpet::worker::model {
namespace {

constexpr uint64_t kSessions = 4;
constexpr int kSteps = 60;

// A schedule: what happens, out of a seed.
class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed) {}

  std::string Run() {
    for (int step = 0; step < kSteps; ++step) Step();
    world_.Settle();
    // Requests come for all of them.
    for (const auto& machine : world_.machines) {
      for (uint64_t tag = 1; tag <= kSessions; ++tag) machine->Use(0, tag);
    }
    world_.Settle();
    return world_.Difference();
  }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  uint64_t Tag() { return 1 + Below(kSessions); }
  int Worker() { return static_cast<int>(Below(Machine::kWorkers)); }
  std::string Server(const Machine& machine) {
    return *std::next(machine.servers.begin(),
                      static_cast<ptrdiff_t>(Below(machine.servers.size())));
  }

  void Step() {
    Machine& machine = *world_.machines[Below(world_.machines.size())];
    const uint64_t what = Below(100);
    if (what < 27) return StepOfSession(machine, what);
    if (what < 29) return machine.GiveUp(Tag());
    if (what < 33) return machine.Cut(Worker());
    if (what < 38) return machine.Restore(Worker());
    if (what < 41) return machine.CutFollower();
    if (what < 45) return machine.RestoreFollower();
    if (what < 57) return void(machine.Execute(Worker()));
    if (what < 69) return void(machine.Reply(Worker()));
    if (what < 76) return void(machine.ExecuteFollower());
    if (what < 83) return void(machine.ReplyFollower());
    if (what < 87) return void(machine.OfferOne());
    if (what < 90) return void(world_.ExecuteLate(Below(8)));
    if (what < 91) return machine.Restart();
    if (what < 92) return StepOfRedis();
    if (what < 93) return world_.redis.Trim();
    if (what < 94) return machine.LoseNote(Tag());
    world_.now_ms += Below(what < 97 ? 3 : 15'000);
  }

  void StepOfRedis() {
    switch (Below(3)) {
      case 0:
        return world_.EmptyRedis();
      case 1:
        return world_.redis.Save();
      default:
        return world_.RestoreRedis();
    }
  }

  // One call after the other: what a seed gives is the same with every compiler.
  void StepOfSession(Machine& machine, uint64_t what) {
    const int worker = Worker();
    const uint64_t tag = Tag();
    const std::string server = Server(machine);
    if (what < 12) return machine.Learn(worker, tag, server);
    if (what < 16) return machine.Forget(worker, tag);
    if (what < 19) return machine.LearnTwice(tag, server, Server(machine));
    machine.Use(worker, tag);
  }

  std::mt19937_64 random_;
  World world_;
};

TEST(StoreModel, EndsInOneStateWhateverTheSchedule) {
  int failed = 0;
  for (uint64_t seed = 1; seed <= 100'000 && failed < 10; ++seed) {
    const std::string difference = Schedule(seed).Run();
    EXPECT_EQ(difference, "") << "schedule " << seed << ": " << ++failed;
  }
}

// --- Schedules of their own: each was wrong once, or is what a rule is for.

class StoreModelSchedule : public testing::Test {
 protected:
  using Zone = std::map<uint64_t, Machine::Session>;

  void Deliver(Machine& machine, int worker = 0) {
    while (machine.Execute(worker) || machine.Reply(worker)) {
    }
  }
  void Follow(Machine& machine) {
    while (machine.ExecuteFollower() || machine.ReplyFollower()) {
    }
  }
  void Settle() {
    world_.Settle();
    EXPECT_EQ(world_.Difference(), "");
  }
  static std::string Place(const Machine& machine, uint64_t tag) {
    const auto found = machine.zone.find(tag);
    return found != machine.zone.end() ? found->second.server : "nowhere";
  }

  World world_;
  Machine& a_ = *world_.machines[0];  // its clock is ten seconds ahead
  Machine& b_ = *world_.machines[1];  // does not know "three"
};

// Two workers bind a session at once, and another machine binds it meanwhile to where the newer of
// the two has it: then that one is no news, and nobody is told of it.
TEST_F(StoreModelSchedule, AChangeThatIsNoNewsIsFollowedByItsOwnMachine) {
  a_.Learn(0, 2, "one");
  Deliver(a_);
  Follow(b_);
  b_.LearnTwice(1, "two", "one");
  Deliver(b_, 0);
  a_.Learn(0, 2, "two");
  a_.Learn(0, 1, "one");
  Deliver(a_);
  Deliver(b_, 1);
  EXPECT_EQ(Place(b_, 1), "one");
  Follow(b_);
  Settle();
}

TEST_F(StoreModelSchedule, ADeleteOvertakesAnAnswerFromBeforeIt) {
  a_.Learn(0, 1, "one");
  Deliver(a_);
  Follow(b_);
  b_.GiveUp(1);
  b_.Use(0, 1);
  ASSERT_TRUE(b_.Execute(0));
  a_.Forget(0, 1);
  Deliver(a_);
  Follow(b_);
  ASSERT_TRUE(b_.Reply(0));
  Settle();
  EXPECT_EQ(Place(b_, 1), "nowhere");
}

TEST_F(StoreModelSchedule, TheStreamIsCutUnderItsReader) {
  a_.Learn(0, 1, "one");
  Deliver(a_);
  Follow(b_);
  a_.Learn(0, 1, "two");
  a_.Learn(0, 2, "one");
  a_.Learn(0, 3, "one");
  Deliver(a_);
  world_.redis.Trim();
  Settle();
  EXPECT_EQ(Place(b_, 1), "two");
}

TEST_F(StoreModelSchedule, TheStreamIsCutBeforeItsFirstReading) {
  b_.Learn(0, 1, "one");
  Deliver(b_);
  a_.Learn(0, 1, "two");
  a_.Learn(0, 2, "one");
  a_.Learn(0, 3, "one");
  Deliver(a_);
  world_.redis.Trim();
  Settle();
  EXPECT_EQ(Place(b_, 1), "two");
}

TEST_F(StoreModelSchedule, AnOfferIsAsNewAsWhatItsMachineBelieves) {
  b_.Learn(0, 1, "one");
  Deliver(b_);
  a_.CutFollower();
  world_.now_ms += 14'000;
  a_.Learn(0, 1, "one");  // no news: the other's clock does not hear of it
  Deliver(a_);
  b_.Cut(0);
  b_.Forget(0, 1);
  world_.EmptyRedis();
  Settle();
  EXPECT_EQ(Place(a_, 1), Place(b_, 1));
}

TEST_F(StoreModelSchedule, TwoWorkersBindASessionAtOnce) {
  a_.LearnTwice(1, "one", "two");
  Settle();
  EXPECT_EQ(Place(a_, 1), "two");
  EXPECT_EQ(Place(b_, 1), "two");
}

TEST_F(StoreModelSchedule, ACommandOfALostConnectionComesLate) {
  a_.Learn(0, 1, "one");
  a_.Cut(0);
  a_.Restore(0);
  a_.Learn(0, 1, "two");
  Deliver(a_);
  ASSERT_TRUE(world_.ExecuteLate(0));
  Settle();
  EXPECT_EQ(Place(a_, 1), "two");
  EXPECT_EQ(Place(b_, 1), "two");
}

TEST_F(StoreModelSchedule, AZoneDoesNotTakeBackWhatItHasGivenUp) {
  a_.Learn(0, 1, "one");
  Deliver(a_);
  a_.GiveUp(1);
  Settle();
  EXPECT_EQ(Place(a_, 1), "nowhere");
  EXPECT_EQ(Place(b_, 1), "one");
  a_.Use(0, 1);
  Settle();
  EXPECT_EQ(Place(a_, 1), "one");
}

TEST_F(StoreModelSchedule, ASessionGoesToAServerThatAMachineDoesNotKnow) {
  b_.Learn(0, 1, "one");
  Settle();
  a_.Learn(0, 1, "three");
  Settle();
  EXPECT_EQ(Place(a_, 1), "three");
  EXPECT_EQ(Place(b_, 1), "nowhere");
}

TEST_F(StoreModelSchedule, AMachineBeginsWithNothing) {
  a_.Learn(0, 1, "one");
  a_.Learn(0, 2, "two");
  Settle();
  b_.Restart();
  world_.redis.Trim();
  b_.Use(0, 1);
  Settle();
  EXPECT_EQ(Place(b_, 1), "one");
}

TEST_F(StoreModelSchedule, ARedisThatWasEmptiedGetsTheSessionsBack) {
  a_.Learn(0, 1, "one");
  b_.Learn(0, 2, "two");
  Settle();
  world_.EmptyRedis();
  Settle();
  EXPECT_TRUE(world_.redis.Get(1) && world_.redis.Get(2));
}

// It is back with what it had saved: session 1 at its former server. What was noted of it is
// forgotten everywhere.
class StoreModelOldRedis : public StoreModelSchedule {
 protected:
  void MoveAndGoBack() {
    a_.Learn(0, 1, "one");
    Settle();
    world_.redis.Save();
    world_.now_ms += 20'000;  // what is done at the other machine is later, for its clock
    b_.Learn(0, 1, "two");
    Settle();
    for (uint64_t tag = 2; tag <= 4; ++tag) b_.Learn(0, tag, "one");
    Settle();
    for (const auto& machine : world_.machines) machine->LoseNote(1);
    world_.now_ms += 5;
    world_.RestoreRedis();
  }
  void ExpectMoved() {
    EXPECT_EQ(Place(a_, 1), "two");
    EXPECT_EQ(Place(b_, 1), "two");
    ASSERT_TRUE(world_.redis.Get(1));
    EXPECT_EQ(DecodeRecord(*world_.redis.Get(1))->server, "two");
  }
};

TEST_F(StoreModelOldRedis, UndoesNoMove) {
  MoveAndGoBack();
  Settle();
  ExpectMoved();
}

// Its stream says so to one that has offered nothing yet.
TEST_F(StoreModelOldRedis, UndoesNoMoveBeforeItHearsOfIt) {
  MoveAndGoBack();
  a_.RestoreFollower();
  Follow(a_);
  EXPECT_EQ(Place(a_, 1), "two");
  Settle();
  ExpectMoved();
}

TEST_F(StoreModelOldRedis, UndoesNoMoveOfASessionThatIsUsed) {
  MoveAndGoBack();
  a_.RestoreFollower();
  a_.Restore(0);
  Follow(a_);
  a_.Use(0, 1);
  Deliver(a_);
  EXPECT_EQ(Place(a_, 1), "two");
  Settle();
  ExpectMoved();
}

TEST_F(StoreModelOldRedis, KnowsEndsThatAMachineHasNotForgotten) {
  a_.Learn(0, 1, "one");
  Settle();
  world_.redis.Save();
  b_.Forget(0, 1);
  Settle();
  world_.RestoreRedis();
  Settle();
  EXPECT_EQ(Place(a_, 1), "nowhere");
  EXPECT_EQ(Place(b_, 1), "nowhere");
  a_.Use(0, 1);
  Settle();
  EXPECT_EQ(Place(a_, 1), "nowhere");
}

// What has happened since at another machine is news, and older than the last use here.
TEST_F(StoreModelOldRedis, IsFollowedInWhatIsNew) {
  MoveAndGoBack();
  b_.Restore(0);
  a_.Use(0, 1);
  b_.Forget(0, 1);
  Deliver(b_);
  Settle();
  EXPECT_EQ(Place(a_, 1), "nowhere");
  EXPECT_EQ(Place(b_, 1), "nowhere");
}

// Redis has lost sessions 1 and 2: `machine` offers the first, and has read the second.
class StoreModelOffer : public StoreModelSchedule {
 protected:
  void BeginOffers(Machine& machine) {
    a_.Learn(0, 1, "one");
    a_.Learn(0, 2, "one");
    Settle();
    world_.EmptyRedis();
    for (const auto& each : world_.machines) {
      for (int worker = 0; worker < Machine::kWorkers; ++worker) each->Restore(worker);
    }
    machine.RestoreFollower();
    Follow(machine);
    ASSERT_TRUE(machine.OfferOne());
  }
  void OfferAndSettle(Machine& machine) {
    ASSERT_TRUE(machine.OfferOne());
    Deliver(machine);
    Settle();
  }
};

TEST_F(StoreModelOffer, DoesNotOutliveAnEndOfItsOwnMachine) {
  BeginOffers(a_);
  a_.Forget(1, 2);
  OfferAndSettle(a_);
  EXPECT_EQ(Place(a_, 2), "nowhere");
  EXPECT_EQ(Place(b_, 2), "nowhere");
}

TEST_F(StoreModelOffer, DoesNotTakeASessionBack) {
  BeginOffers(a_);
  a_.Learn(1, 2, "two");
  OfferAndSettle(a_);
  EXPECT_EQ(Place(a_, 2), "two");
  EXPECT_EQ(Place(b_, 2), "two");
}

// That machine has the greater number: the order of two changes of one time.
TEST_F(StoreModelOffer, DoesNotOutliveAnEndOfAnotherMachine) {
  BeginOffers(b_);
  a_.Forget(0, 2);
  Deliver(a_);
  Follow(b_);
  OfferAndSettle(b_);
  EXPECT_EQ(Place(a_, 2), "nowhere");
  EXPECT_EQ(Place(b_, 2), "nowhere");
}

TEST_F(StoreModelSchedule, ChangesThatAreGivenUpAreCounted) {
  Settle();
  a_.Learn(0, 9, "one");
  Settle();
  a_.Cut(0);
  for (uint64_t tag = 1; tag <= Machine::kQueue + 2; ++tag) a_.Learn(0, tag, "one");
  Settle();
  EXPECT_EQ(a_.dropped, 2u);
  EXPECT_EQ(a_.unacknowledged.size(), 2u);
  EXPECT_FALSE(world_.redis.Get(1));
}

TEST_F(StoreModelSchedule, WhatWasGivenUpIsOfferedWhenTheStoreIsBack) {
  a_.Learn(0, 9, "one");
  Settle();
  a_.Cut(0);
  a_.CutFollower();
  for (uint64_t tag = 1; tag <= Machine::kQueue + 2; ++tag) a_.Learn(0, tag, "one");
  Settle();
  EXPECT_EQ(a_.dropped, 2u);
  EXPECT_EQ(Place(b_, 1), "one");
}

}  // namespace
}  // namespace limpet::worker::model
