#include "worker/net/loop.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace limpet::worker {
namespace {

struct Recorder {
  explicit Recorder(Loop& l) : loop(l) {}
  void Note() { at.push_back(MonotonicMs()); }
  void NoteAndStop() {
    Note();
    loop.Stop();
  }
  Loop& loop;
  std::vector<uint64_t> at;
};

TEST(Timer, FiresOnceAtItsDeadline) {
  Loop loop;
  Recorder recorder(loop);
  Timer timer(loop, Callback::To<&Recorder::NoteAndStop>(&recorder));
  const uint64_t start = MonotonicMs();
  timer.Arm(30);
  EXPECT_TRUE(timer.armed());
  loop.Run();
  ASSERT_EQ(recorder.at.size(), 1u);
  EXPECT_GE(recorder.at[0], start + 30);
  EXPECT_FALSE(timer.armed());
}

TEST(Timer, EndsWithItsGroup) {
  Loop loop;
  Recorder recorder(loop);
  TimerGroup group;
  Timer first(loop, group, Callback::To<&Recorder::Note>(&recorder));
  Timer second(loop, group, Callback::To<&Recorder::Note>(&recorder));
  Timer stranger(loop, Callback::To<&Recorder::NoteAndStop>(&recorder));
  EXPECT_FALSE(group.armed());
  second.Arm(1);
  EXPECT_TRUE(group.armed());
  first.Arm(1);
  stranger.Arm(5);
  group.Disarm();
  EXPECT_FALSE(group.armed());
  EXPECT_TRUE(stranger.armed());
  loop.Run();
  EXPECT_EQ(recorder.at.size(), 1u);
}

TEST(Timer, MovedLaterDoesNotFireEarly) {
  Loop loop;
  Recorder recorder(loop);
  Timer timer(loop, Callback::To<&Recorder::NoteAndStop>(&recorder));
  const uint64_t start = MonotonicMs();
  timer.Arm(10);
  timer.Arm(60);
  loop.Run();
  ASSERT_EQ(recorder.at.size(), 1u);
  EXPECT_GE(recorder.at[0], start + 60);
}

TEST(Timer, MovedEarlierFiresEarlier) {
  Loop loop;
  Recorder recorder(loop);
  Timer timer(loop, Callback::To<&Recorder::NoteAndStop>(&recorder));
  const uint64_t start = MonotonicMs();
  timer.Arm(60'000);
  timer.Arm(20);
  loop.Run();
  ASSERT_EQ(recorder.at.size(), 1u);
  EXPECT_LT(recorder.at[0], start + 30'000);
}

TEST(Timer, DisarmedDoesNotFireAndCanBeArmedAgain) {
  Loop loop;
  Recorder wrong(loop);
  Recorder right(loop);
  Timer disarmed(loop, Callback::To<&Recorder::Note>(&wrong));
  Timer other(loop, Callback::To<&Recorder::NoteAndStop>(&right));
  disarmed.Arm(5);
  disarmed.Disarm();
  other.Arm(40);
  loop.Run();
  EXPECT_TRUE(wrong.at.empty());
  disarmed.Arm(5);
  other.Arm(5'000);
  loop.RunOnce();
  EXPECT_EQ(wrong.at.size(), 1u);
}

// What a callback may do with its own timer.
struct Restless {
  explicit Restless(Loop& l)
      : loop(l), timer(std::make_unique<Timer>(l, Callback::To<&Restless::Fire>(this))) {}
  void Fire() {
    if (++fired < 3) return timer->Arm(1);
    timer.reset();
    loop.Stop();
  }
  Loop& loop;
  std::unique_ptr<Timer> timer;
  int fired = 0;
};

TEST(Timer, MayBeArmedAgainAndEndInItsOwnCallback) {
  Loop loop;
  Restless restless(loop);
  restless.timer->Arm(1);
  loop.Run();
  EXPECT_EQ(restless.fired, 3);
  EXPECT_EQ(restless.timer, nullptr);
}

TEST(Timer, MayEndWhileItIsArmedAndAfterItWasDisarmed) {
  Loop loop;
  Recorder wrong(loop);
  Recorder right(loop);
  Timer last(loop, Callback::To<&Recorder::NoteAndStop>(&right));
  {
    Timer armed(loop, Callback::To<&Recorder::Note>(&wrong));
    Timer disarmed(loop, Callback::To<&Recorder::Note>(&wrong));
    armed.Arm(1);
    disarmed.Arm(1);
    disarmed.Disarm();
  }
  last.Arm(10);
  loop.Run();
  EXPECT_TRUE(wrong.at.empty());
}

struct Ordered {
  explicit Ordered(Loop& l, std::vector<int>& o, int n)
      : order(o), number(n), timer(l, Callback::To<&Ordered::Note>(this)) {}
  void Note() { order.push_back(number); }
  std::vector<int>& order;
  int number;
  Timer timer;
};

TEST(Timer, ManyFireInTheOrderOfTheirDeadlines) {
  Loop loop;
  Recorder recorder(loop);
  Timer last(loop, Callback::To<&Recorder::NoteAndStop>(&recorder));
  std::vector<int> order;
  std::vector<std::unique_ptr<Ordered>> timers;
  for (int i = 0; i < 50; ++i) {
    timers.push_back(std::make_unique<Ordered>(loop, order, i));
    timers.back()->timer.Arm(1000);
  }
  for (size_t i = 0; i < 50; ++i) timers[i]->timer.Arm(10 + i * 37 % 50);
  for (size_t i = 0; i < 50; i += 7) timers[i].reset();
  last.Arm(70);
  loop.Run();
  std::vector<int> expected;
  for (int at = 0; at < 50; ++at) {
    for (int i = 0; i < 50; ++i) {
      if (i * 37 % 50 == at && i % 7 != 0) expected.push_back(i);
    }
  }
  EXPECT_EQ(order, expected);
}

TEST(Timer, ArmedInACallbackWithoutDelayLetsThePassEnd) {
  Loop loop;
  struct Eager {
    explicit Eager(Loop& l) : timer(l, Callback::To<&Eager::Fire>(this)) {}
    void Fire() {
      ++fired;
      timer.Arm(0);
    }
    Timer timer;
    int fired = 0;
  } eager(loop);
  eager.timer.Arm(0);
  while (eager.fired < 3) loop.RunOnce();
  SUCCEED();
}

// A connection has many, and most are never armed.
static_assert(sizeof(Timer) <= 48);

struct Chain {
  explicit Chain(Loop& l) : loop(l), call(l, Callback::To<&Chain::Run>(this)) {}
  void Run() {
    if (++runs < 3) call.Schedule();
  }
  Loop& loop;
  Deferred call;
  int runs = 0;
};

TEST(Deferred, RunsOncePerPassHoweverOftenScheduled) {
  Loop loop;
  Chain chain(loop);
  chain.call.Schedule();
  chain.call.Schedule();
  loop.RunOnce();
  EXPECT_EQ(chain.runs, 1);  // scheduled again by itself: that waits for the next pass
  EXPECT_TRUE(chain.call.scheduled());
  loop.RunOnce();
  loop.RunOnce();
  EXPECT_EQ(chain.runs, 3);
  EXPECT_FALSE(chain.call.scheduled());
}

struct Killer {
  void Run() { victim.reset(); }
  std::unique_ptr<Chain> victim;
};

TEST(Deferred, DestroyedByAnEarlierOneOfTheSamePassDoesNotRun) {
  Loop loop;
  Killer killer;
  killer.victim = std::make_unique<Chain>(loop);
  Deferred kill(loop, Callback::To<&Killer::Run>(&killer));
  kill.Schedule();
  killer.victim->call.Schedule();
  loop.RunOnce();
  EXPECT_EQ(killer.victim, nullptr);
}

struct Counted : Deletable {
  Counted(Loop& l, int& d, std::unique_ptr<Counted> n = nullptr)
      : loop(l), deaths(d), next(std::move(n)) {}
  ~Counted() override {
    ++deaths;
    loop.DeleteLater(std::move(next));
  }
  Loop& loop;
  int& deaths;
  std::unique_ptr<Counted> next;
};

TEST(Loop, DeletesAtTheEndOfThePassEvenWhatDestructorsHandOver) {
  Loop loop;
  int deaths = 0;
  loop.DeleteLater(
      std::make_unique<Counted>(loop, deaths, std::make_unique<Counted>(loop, deaths)));
  EXPECT_EQ(deaths, 0);
  loop.RunOnce();
  EXPECT_EQ(deaths, 2);
}

TEST(Loop, TellsSignals) {
  Loop loop;
  Recorder recorder(loop);
  SignalWatch watch(loop, SIGUSR1, Callback::To<&Recorder::NoteAndStop>(&recorder));
  std::raise(SIGUSR1);
  loop.Run();
  EXPECT_EQ(recorder.at.size(), 1u);
}

}  // namespace
}  // namespace limpet::worker
