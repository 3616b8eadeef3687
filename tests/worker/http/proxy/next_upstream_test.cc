#include "worker/http/proxy/next_upstream.h"

#include <gtest/gtest.h>

#include <string>

namespace limpet::worker {
namespace {

constexpr uint32_t kDefault = conf::kNextError | conf::kNextTimeout;

struct Row {
  std::string what;
  uint32_t condition = conf::kNextError;
  uint32_t allowed = kDefault;
  AttemptFacts facts;
  bool next = false;
};

const Row kRows[] = {
    {.what = "nothing was sent", .facts = {.tries_left = 1}, .next = true},
    {.what = "no peer is left", .facts = {.tries_left = 0}},
    {.what = "no time is left", .facts = {.tries_left = 1, .time_left = false}},
    {.what = "sent, and may be repeated",
     .facts = {.request_sent = true, .tries_left = 1},
     .next = true},
    {.what = "sent, and may have been carried out",
     .facts = {.request_sent = true, .idempotent = false, .tries_left = 1}},
    {.what = "the same, and allowed",
     .allowed = kDefault | conf::kNextNonIdempotent,
     .facts = {.request_sent = true, .idempotent = false, .tries_left = 1},
     .next = true},
    {.what = "not sent: nothing was carried out",
     .facts = {.idempotent = false, .tries_left = 1},
     .next = true},
    {.what = "its body is gone", .facts = {.body_dropped = true, .tries_left = 1}},
    {.what = "the client has a head", .facts = {.response_started = true, .tries_left = 1}},
    {.what = "not asked for", .condition = conf::kNextInvalidHeader, .facts = {.tries_left = 1}},
    {.what = "off", .allowed = kDefault | conf::kNextOff, .facts = {.tries_left = 1}},
};

TEST(NextUpstream, AsksAnotherPeerOnlyIfThatDoesNoHarm) {
  for (const Row& row : kRows)
    EXPECT_EQ(MayTryNext(row.condition, row.facts, row.allowed), row.next) << row.what;
}

TEST(NextUpstream, KnowsTheStatusesThatAreConditions) {
  EXPECT_EQ(ConditionOfStatus(503), conf::kNext503);
  EXPECT_EQ(ConditionOfStatus(404), conf::kNext404);
  EXPECT_EQ(ConditionOfStatus(200), 0u);
  EXPECT_EQ(ConditionOfStatus(501), 0u);
}

TEST(NextUpstream, TakesNginxListOfMethodsThatChangeSomething) {
  EXPECT_FALSE(IsIdempotent(proto::Method::kPost));
  EXPECT_FALSE(IsIdempotent(proto::Method::kLock));
  EXPECT_FALSE(IsIdempotent(proto::Method::kPatch));
  EXPECT_TRUE(IsIdempotent(proto::Method::kPut));
  EXPECT_TRUE(IsIdempotent(proto::Method::kGet));
}

}  // namespace
}  // namespace limpet::worker
