// The pure parts of variables, and the arithmetic of limit_req.
#include <gtest/gtest.h>

#include <list>

#include "worker/http/access/limit_req.h"
#include "worker/http/variables/field_join.h"
#include "worker/http/variables/trace_text.h"

namespace limpet::worker {
namespace {

class Memory final : public conf::VariableReader {
 public:
  conf::Value Get(conf::VariableId) override { return {}; }
  conf::Captures& captures() override { return captures_; }
  void SetNamed(conf::VariableId, conf::Value) override {}
  char* Allocate(size_t size) override { return blocks_.emplace_back(size, '\0').data(); }
  size_t allocations() const { return blocks_.size(); }

 private:
  conf::Captures captures_;
  std::list<std::string> blocks_;
};

TEST(FieldIs, ReadsDashesAsUnderscoresInAnyCase) {
  EXPECT_TRUE(FieldIs("X-Forwarded-For", "x_forwarded_for"));
  EXPECT_TRUE(FieldIs("x_forwarded_for", "x_forwarded_for"));
  EXPECT_FALSE(FieldIs("X-Forwarded", "x_forwarded_for"));
  EXPECT_FALSE(FieldIs("X-Forwarded-Fox", "x_forwarded_for"));
}

TEST(JoinFieldValues, JoinsAllFieldsOfTheName) {
  Memory memory;
  proto::HeaderList fields;
  fields.Add("X-A", "1");
  fields.Add("X-B", "other");
  EXPECT_EQ(JoinFieldValues(memory, fields, "x_a", ", ").text, "1");
  EXPECT_EQ(memory.allocations(), 0u) << "one value is a view";
  fields.Add("x-a", "2");
  EXPECT_EQ(JoinFieldValues(memory, fields, "x_a", ", ").text, "1, 2");
  EXPECT_FALSE(JoinFieldValues(memory, fields, "x_c", ", ").found);
}

TEST(JoinFieldValues, AnEmptyFirstValueStillCounts) {
  Memory memory;
  proto::HeaderList fields;
  fields.Add("X-A", "");
  EXPECT_TRUE(JoinFieldValues(memory, fields, "x_a", ", ").found);
  fields.Add("X-A", "2");
  EXPECT_EQ(JoinFieldValues(memory, fields, "x_a", ", ").text, ", 2");
}

std::string Times(const std::vector<UpstreamAttempt>& attempts) {
  fmt::memory_buffer out;
  AppendAttempts(attempts, &out, [](const UpstreamAttempt& attempt, fmt::memory_buffer* text) {
    AppendAttemptTime(attempt.response_ms, text);
  });
  return fmt::to_string(out);
}

TEST(Attempts, AreSeparatedByCommasAndGroupsByColons) {
  EXPECT_EQ(Times({{.response_ms = 12}}), "0.012");
  EXPECT_EQ(Times({{.response_ms = -1}, {.response_ms = 61'005}}), "-, 61.005");
  EXPECT_EQ(Times({{.response_ms = 1}, {.after_redirect = true, .response_ms = 2}}),
            "0.001 : 0.002");
}

TEST(Trace, MarksTheFirstAttemptOfAnotherGroup) {
  UpstreamTrace trace;
  trace.NewGroup();
  EXPECT_FALSE(trace.Begin("a").after_redirect);
  EXPECT_FALSE(trace.Begin("b").after_redirect);
  trace.NewGroup();
  EXPECT_TRUE(trace.Begin("c").after_redirect);
}

TEST(DelayMs, IsTheTimeUntilTheBucketHasLeakedToItsFreePart) {
  EXPECT_EQ(DelayMs(0, 0, 2000), 0u);
  EXPECT_EQ(DelayMs(1000, 0, 2000), 500u);
  EXPECT_EQ(DelayMs(3000, 2, 2000), 500u) << "delay=2";
  EXPECT_EQ(DelayMs(2000, 2, 2000), 0u);
  EXPECT_EQ(DelayMs(99'000, std::numeric_limits<uint64_t>::max(), 2000), 0u) << "nodelay";
}

}  // namespace
}  // namespace limpet::worker
