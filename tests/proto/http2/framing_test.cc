#include "proto/http2/framing.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

Framing Of(const char* length, bool end_stream) {
  RequestHead head{.version_major = 2};
  if (length != nullptr) head.headers.Add("content-length", length);
  return StreamFraming(head, RequestFraming(head), end_stream);
}

TEST(StreamFraming, IsOfEndStreamAndTheLength) {
  EXPECT_EQ(Of(nullptr, true).kind, BodyKind::kNone);
  EXPECT_EQ(Of(nullptr, false).kind, BodyKind::kChunked);
  EXPECT_EQ(Of("0", true).kind, BodyKind::kNone);
  EXPECT_EQ(Of("0", false).kind, BodyKind::kNone);
  EXPECT_EQ(Of("5", false).kind, BodyKind::kLength);
  EXPECT_EQ(Of("5", false).length, 5u);
  EXPECT_EQ(Of("5", true).status, 400);  // the stream has ended before its body
  EXPECT_EQ(Of("x", false).status, 400);
}

TEST(BodyCounter, KnowsTooMuchAndTooLittle) {
  BodyCounter counter(Of("5", false));
  EXPECT_TRUE(counter.Add(0));
  EXPECT_TRUE(counter.Add(3));
  EXPECT_FALSE(counter.AtEnd());
  EXPECT_FALSE(counter.Add(3));
  EXPECT_EQ(counter.left(), 2u);
  EXPECT_TRUE(counter.Add(2));
  EXPECT_TRUE(counter.AtEnd());
  EXPECT_FALSE(counter.Add(1));
}

TEST(BodyCounter, OfNoBodyTakesNone) {
  BodyCounter counter(Of("0", false));
  EXPECT_TRUE(counter.Add(0));
  EXPECT_TRUE(counter.AtEnd());
  EXPECT_FALSE(counter.Add(1));
}

TEST(BodyCounter, OfUnknownLengthTakesAll) {
  BodyCounter counter(Of(nullptr, false));
  EXPECT_TRUE(counter.Add(UINT64_MAX));
  EXPECT_TRUE(counter.Add(UINT64_MAX));
  EXPECT_TRUE(counter.AtEnd());
}

}  // namespace
}  // namespace limpet::proto
