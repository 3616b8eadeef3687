#include "worker/status/json_input.h"

#include <gtest/gtest.h>

#include <string>

namespace limpet::worker {
namespace {

using namespace std::string_literals;

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonInput, TakesWhatOurRequestsAre) {
  const auto json = ParseJson(R"( {"a": {"b": [1, -2, 0.5, null, true, "x"]}, "b": {"b": 1}} )");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["a"]["b"].size(), 6U);
}

TEST(JsonInput, RefusesWhatTwoReadersWouldReadDifferently) {
  for (const std::string& text :
       {""s, "{"s, "{} {}"s, "{}x"s, "\xEF\xBB\xBF{}"s, "{}\0"s, "{}\0{\"a\": 1}"s,
        "{\"a\0b\": 1}"s, R"({"a": 1, "a": 2})"s, R"({"x": [{"a": 1, "\u0061": 2}]})"s,
        "{\"a\": 1e999}"s, "{\"a\": \"\xFF\"}"s}) {
    EXPECT_FALSE(ParseJson(text)) << text;
  }
}

TEST(JsonInput, RefusesWhatIsDeep) {
  EXPECT_TRUE(ParseJson(Nested(16)));
  EXPECT_FALSE(ParseJson(Nested(17)));
  EXPECT_FALSE(ParseJson(Nested(500'000)));
}

}  // namespace
}  // namespace limpet::worker
