// sticky learn: what a request's session is found to be, and what an answer teaches, when.
#include "worker/sticky/learn_policy.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/worker/sticky/policy_fixture.h"
#include "worker/sticky/session_hold.h"

namespace limpet::worker {
namespace {

using Status = StickyStatus;
constexpr uint64_t kIdleMs = 5'000;

std::string Sticky(std::string_view parameters) {
  return "sticky learn create=$upstream_cookie_id create=$upstream_http_x_id lookup=$cookie_id "
         "lookup=$arg_id zone=z:256k timeout=20s " +
         std::string(parameters) + ";";
}

class LearnFixture : public PolicyFixture {
 public:
  explicit LearnFixture(std::string_view parameters = {}, std::string_view others = {},
                        std::string_view of_a = {})
      : PolicyFixture(Sticky(parameters) + std::string(others), of_a) {
    table().SetPolicy({.timeout = std::chrono::seconds(20)});
  }

  // A session that was used that long ago.
  void Know(std::string_view id, std::string_view route, uint64_t idle_ms = kIdleMs) {
    table().Learn(table().KeyOf(id), peer(route).session_index, BootMs() - idle_ms);
  }
  // The server that the table has for an id; "": none.
  std::string ServerOf(std::string_view id) {
    const shm::Found found = table().Peek(table().KeyOf(id), BootMs());
    return found.result == shm::LookupResult::kHit ? table().PeerName(found.peer) : "";
  }
  void Nothing() {}
  uint64_t IdleMs(std::string_view id) {
    return static_cast<uint64_t>(table().Peek(table().KeyOf(id), BootMs()).idle.count());
  }
};

// --- What is found -----------------------------------------------------------------------------

constexpr FindRow kFindRows[] = {
    {"no variable has a value", {"", ""}, "", Status::kNew},
    {"a session that is known", {"known", ""}, "b", Status::kHit},
    {"by the second variable", {"", "known"}, "b", Status::kHit},
    {"the first that is not empty counts", {"strange", "known"}, "", Status::kMiss},
    {"a session that nobody knows", {"strange", ""}, "", Status::kMiss},
    {"one that is over", {"over", ""}, "", Status::kExpired},
    {"one of a server that is not of this upstream", {"foreign", ""}, "", Status::kMiss},
    {"a key that is too long to be kept", {"too-long-a-key", ""}, "", Status::kMiss},
};

TEST(LearnPolicy, FindsWhatTheTableSays) {
  LearnFixture fixture("cookie_max_size=10");
  fixture.Know("known", "b");
  fixture.Know("over", "b", 21'000);
  fixture.Know("too-long-a-key", "b");
  fixture.table().Learn(fixture.table().KeyOf("foreign"), fixture.table().PeerIndex("c"), BootMs());
  for (const FindRow& row : kFindRows) ExpectFound(fixture, {"cookie_id", "arg_id"}, row);
}

TEST(LearnPolicy, SaysHowLongASessionHasBeenIdle) {
  LearnFixture fixture;
  fixture.Know("s", "b");
  fixture.Find({{"cookie_id", "s"}});
  EXPECT_TRUE(fixture.state.has_age);
  EXPECT_GE(fixture.state.idle_ms, kIdleMs - 100);
  fixture.Find({{"cookie_id", "t"}});
  EXPECT_FALSE(fixture.state.has_age);
}

// --- What is learned ---------------------------------------------------------------------------

enum class Call { kNever, kHead, kLeaves, kEnd };  // of the policy, in the order of an answer

struct LearnRow {
  std::string_view why;
  std::string_view brings = "";    // the request; "s" is known to be at a
  std::string_view answers = "a";  // the server that does
  std::string_view gives = "";     // its answer
  Call learned = Call::kNever;     // after which call the table has it
  std::string_view after_s = "a";  // the server of "s" then,
  std::string_view after_t = "";   // and of "t"
  bool buffered = false;           // the answer may be held back
  bool temporary = false;          // the server only stands in for the session's
  std::string_view parameters = "";
};

constexpr LearnRow kLearnRows[] = {
    {.why = "nothing brought, nothing given", .brings = ""},
    {.why = "a session is opened: known before its client hears of it",
     .brings = "",
     .answers = "b",
     .gives = "t",
     .learned = Call::kLeaves,
     .after_t = "b"},
    {.why = "with `header` when the head has come",
     .brings = "",
     .answers = "b",
     .gives = "t",
     .learned = Call::kHead,
     .after_t = "b",
     .parameters = "header"},
    {.why = "the session's own server has answered: it stays there", .brings = "s"},
    {.why = "another has: it takes the session over, when the answer ends",
     .brings = "s",
     .answers = "b",
     .learned = Call::kEnd,
     .after_s = "b"},
    {.why = "or before a small answer leaves, which is held back until its end",
     .brings = "s",
     .answers = "b",
     .learned = Call::kLeaves,
     .after_s = "b",
     .buffered = true},
    {.why = "one that stands in does not", .brings = "s", .answers = "b", .temporary = true},
    {.why = "the answer gives another session: both live",
     .brings = "s",
     .answers = "b",
     .gives = "t",
     .learned = Call::kLeaves,
     .after_t = "b"},
    {.why = "even if it only stands in: a session of its own",
     .brings = "s",
     .answers = "b",
     .gives = "t",
     .learned = Call::kLeaves,
     .after_t = "b",
     .temporary = true},
    {.why = "the answer gives the session that was brought",
     .brings = "s",
     .answers = "b",
     .gives = "s",
     .learned = Call::kEnd,
     .after_s = "b"},
    {.why = "what nobody knows is not opened by its request", .brings = "t", .answers = "b"},
    {.why = "but by an answer that gives it",
     .brings = "t",
     .answers = "b",
     .gives = "t",
     .learned = Call::kEnd,
     .after_t = "b"},
    {.why = "a key that is too long is not kept",
     .brings = "",
     .answers = "b",
     .gives = "t-is-longer-than-that",
     .parameters = "cookie_max_size=10"},
};

TEST(LearnPolicy, LearnsWhatTheTableSays) {
  for (const LearnRow& row : kLearnRows) {
    LearnFixture fixture(row.parameters);
    fixture.Know("s", "a");
    fixture.Find({{"cookie_id", std::string(row.brings)}});
    fixture.state.temporary = row.temporary;
    fixture.OnChosen(row.answers);
    fixture.request().values["upstream_cookie_id"] = row.gives;
    const Peer& peer = fixture.peer(row.answers);
    const auto expect = [&](Call call) {
      const bool learned = row.learned != Call::kNever && row.learned <= call;
      const auto when = static_cast<int>(call);
      EXPECT_EQ(fixture.ServerOf("s"), learned ? row.after_s : "a") << row.why << ", call " << when;
      EXPECT_EQ(fixture.ServerOf("t"), learned ? row.after_t : "") << row.why << ", call " << when;
    };
    fixture.policy().OnResponseHead(fixture.request(), fixture.state, peer);
    expect(Call::kHead);
    fixture.policy().OnHeadLeaves(fixture.request(), fixture.state, peer, row.buffered);
    expect(Call::kLeaves);
    fixture.policy().OnResponseEnd(fixture.request(), fixture.state, peer);
    expect(Call::kEnd);
    EXPECT_EQ(fixture.ServerOf(row.gives.empty() ? "none" : row.gives),
              row.gives == "s"   ? row.after_s
              : row.gives == "t" ? row.after_t
                                 : "")
        << row.why;
  }
}

TEST(LearnPolicy, TakesTheFirstOfWhatAnAnswerGives) {
  LearnFixture fixture;
  fixture.Find({});
  fixture.request().values = {{"upstream_http_x_id", "t"}};
  fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("b"));
  EXPECT_EQ(fixture.ServerOf("t"), "b");
  fixture.Find({});
  fixture.request().values = {{"upstream_cookie_id", "u"}, {"upstream_http_x_id", "v"}};
  fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("b"));
  EXPECT_EQ(fixture.ServerOf("u"), "b");
  EXPECT_EQ(fixture.ServerOf("v"), "");
}

TEST(LearnPolicy, HoldsASessionFromTheHeadOnWhereIdleOnesMove) {
  LearnFixture fixture({}, "zone app 64k; rebalance rate=10/s idle=7s;");
  fixture.Know("s", "a");
  fixture.Find({{"cookie_id", "s"}});
  EXPECT_LT(fixture.IdleMs("s"), kIdleMs / 2);
  EXPECT_GE(fixture.state.idle_ms, kIdleMs - 100) << "as it was found";
}

TEST(LearnPolicy, LetsASessionAgeWhoseAnswersGiveAnother) {
  LearnFixture fixture;
  fixture.Know("s", "a");
  fixture.Find({{"cookie_id", "s"}});
  EXPECT_GE(fixture.IdleMs("s"), kIdleMs - 100) << "a lookup is no use";
  fixture.request().values["upstream_cookie_id"] = "t";
  fixture.policy().OnHeadLeaves(fixture.request(), fixture.state, fixture.peer("a"), true);
  fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("a"));
  EXPECT_GE(fixture.IdleMs("s"), kIdleMs - 100);
  EXPECT_LT(fixture.IdleMs("t"), kIdleMs / 2);
}

// It may be told by hand to move, so it is not left until a touch interval has passed.
TEST(LearnPolicy, HoldsAnIdleSessionSoonWhereAnAnswerTakesLonger) {
  LearnFixture fixture;
  fixture.Know("s", "a");
  fixture.request().values = {{"cookie_id", "s"}};
  Loop loop;
  SessionHold hold(loop, fixture.request(), Callback::To<&LearnFixture::Nothing>(&fixture));
  hold.Find(&fixture.policy());
  const uint64_t began_ms = BootMs();
  while (fixture.IdleMs("s") >= kIdleMs / 2 && BootMs() - began_ms < kIdleMs) loop.RunOnce();
  EXPECT_LT(BootMs() - began_ms, fixture.policy().touch_interval_ms() / 2);
  hold.End();
}

TEST(LearnPolicy, LetsASessionEndDuringAnAnswerWhereItsServerDrains) {
  LearnFixture fixture({}, {}, "drain");
  fixture.Know("s", "a");
  fixture.request().values = {{"cookie_id", "s"}};
  Loop loop;
  SessionHold hold(loop, fixture.request(), Callback::To<&LearnFixture::Nothing>(&fixture));
  hold.Find(&fixture.policy());
  ASSERT_NE(fixture.ServerOf("s"), "");
  Timer later(loop, Callback::To<&Loop::Stop>(&loop));
  later.Arm(600);
  loop.Run();
  EXPECT_GE(fixture.IdleMs("s"), kIdleMs + 400);
  hold.End();
}

TEST(LearnPolicy, TouchesASessionWhileItsAnswerTakesLong) {
  LearnFixture fixture;
  fixture.Know("s", "a");
  fixture.Find({{"cookie_id", "s"}});
  EXPECT_EQ(fixture.policy().touch_interval_ms(), 3'333u) << "a sixth of its timeout";
  fixture.policy().Touch(fixture.state);
  EXPECT_LT(fixture.IdleMs("s"), kIdleMs / 2);
  EXPECT_EQ(LearnFixture("norefresh").policy().touch_interval_ms(), 0u) << "it has its time";
}

TEST(LearnPolicy, LeavesNoTraceOfARehearsal) {
  LearnFixture fixture("cookie_max_size=10");
  fixture.Know("s", "a");
  const auto before = fixture.table().Sum();
  for (const char* id : {"s", "t", "one-that-is-too-long"}) {
    fixture.state = {.dry = true};
    fixture.request().values = {{"cookie_id", id}};
    fixture.policy().Find(fixture.request(), fixture.state);
  }
  const auto after = fixture.table().Sum();
  EXPECT_EQ(after.hits, before.hits);
  EXPECT_EQ(after.misses, before.misses);
  EXPECT_EQ(after.too_long, before.too_long);
}

// --- failback: where a session comes from ------------------------------------------------------

TEST(LearnPolicy, RemembersWhereASessionThatMayGoBackComesFrom) {
  struct {
    std::string_view why, others, moved_from;
  } const kRows[] = {
      {"sessions that never go back are only moved", "", ""},
      {"others remember", "sticky_policy failback=immediate;", "a"},
  };
  for (const auto& row : kRows) {
    LearnFixture fixture({}, row.others);
    fixture.Know("s", "a");
    fixture.Find({{"cookie_id", "s"}});
    fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("b"));
    ASSERT_EQ(PolicyFixture::NameOf(fixture.Find({{"cookie_id", "s"}})), "b") << row.why;
    EXPECT_EQ(PolicyFixture::NameOf(fixture.state.moved_from), row.moved_from) << row.why;
  }
}

TEST(LearnPolicy, ForgetsThatOnceItIsBack) {
  LearnFixture fixture({}, "sticky_policy failback=immediate;");
  fixture.Know("s", "a");
  for (const char* answers : {"b", "a"}) {
    fixture.Find({{"cookie_id", "s"}});
    fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer(answers));
  }
  fixture.Find({{"cookie_id", "s"}});
  EXPECT_EQ(PolicyFixture::NameOf(fixture.state.bound), "a");
  EXPECT_EQ(fixture.state.moved_from, nullptr);
}

// A worker of an older configuration leaves sessions where others have put them.
TEST(LearnPolicy, MovesNoSessionWhileTheWorkerEnds) {
  LearnFixture fixture;
  fixture.Know("s", "a");
  fixture.policy().OnStopping();
  fixture.Find({{"cookie_id", "s"}});
  fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("b"));
  EXPECT_EQ(fixture.ServerOf("s"), "a");
  fixture.Find({{"cookie_id", "s"}});
  fixture.state.status = Status::kRebound;  // its server has failed
  fixture.policy().OnResponseEnd(fixture.request(), fixture.state, fixture.peer("b"));
  EXPECT_EQ(fixture.ServerOf("s"), "b");
}

}  // namespace
}  // namespace limpet::worker
