#include "worker/http/filter/conditional.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

namespace limpet::worker {
namespace {

using Mode = conf::ResponseSettings::IfModifiedSince;
using Fields = std::initializer_list<std::pair<const char*, const char*>>;

constexpr int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr const char* kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* kLater = "Mon, 07 Nov 1994 08:49:37 GMT";
constexpr const char* kEarlier = "Sat, 05 Nov 1994 08:49:37 GMT";

Verdict Judge(Fields fields, Validators response = {kModified, "\"tag\""},
              Mode mode = Mode::kExact) {
  proto::HeaderList headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return JudgeConditions(headers, response, mode);
}

TEST(Conditions, ModifiedSince) {
  EXPECT_EQ(Judge({}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Modified-Since", kSame}}), Verdict::kNotModified);
  EXPECT_EQ(Judge({{"If-Modified-Since", kLater}}), Verdict::kSend) << "exact is the default";
  EXPECT_EQ(Judge({{"If-Modified-Since", "nonsense"}}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Modified-Since", kSame}}, {-1, ""}), Verdict::kSend);
}

TEST(Conditions, ModifiedSinceHasThreeModes) {
  const Validators response{kModified, ""};
  EXPECT_EQ(Judge({{"If-Modified-Since", kLater}}, response, Mode::kBefore), Verdict::kNotModified);
  EXPECT_EQ(Judge({{"If-Modified-Since", kEarlier}}, response, Mode::kBefore), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Modified-Since", kSame}}, response, Mode::kOff), Verdict::kSend);
}

TEST(Conditions, UnmodifiedSince) {
  EXPECT_EQ(Judge({{"If-Unmodified-Since", kSame}}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Unmodified-Since", kEarlier}}), Verdict::kPreconditionFailed);
  EXPECT_EQ(Judge({{"If-Unmodified-Since", kLater}}, {-1, ""}), Verdict::kPreconditionFailed);
}

TEST(Conditions, TagsAreWeakForReadingAndStrongForWriting) {
  EXPECT_EQ(Judge({{"If-None-Match", "W/\"tag\""}}), Verdict::kNotModified);
  EXPECT_EQ(Judge({{"If-None-Match", "\"a\", \"tag\""}}), Verdict::kNotModified);
  EXPECT_EQ(Judge({{"If-None-Match", "\"a\""}}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Match", "\"a\", \"tag\""}}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Match", "W/\"tag\""}}), Verdict::kPreconditionFailed);
  EXPECT_EQ(Judge({{"If-Match", "*"}}), Verdict::kSend);
}

TEST(Conditions, BothReadingConditionsMustAgree) {
  EXPECT_EQ(Judge({{"If-Modified-Since", kSame}, {"If-None-Match", "\"other\""}}), Verdict::kSend);
  EXPECT_EQ(Judge({{"If-Modified-Since", kEarlier}, {"If-None-Match", "\"tag\""}}), Verdict::kSend);
}

}  // namespace
}  // namespace limpet::worker
