#include "proto/status.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

TEST(Status, SpellsPhrasesAsNginx) {
  EXPECT_EQ(StatusText(200), "200 OK");
  EXPECT_EQ(StatusText(302), "302 Moved Temporarily");
  EXPECT_EQ(StatusText(405), "405 Not Allowed");
  EXPECT_EQ(StatusText(413), "413 Request Entity Too Large");
  EXPECT_EQ(StatusText(503), "503 Service Temporarily Unavailable");
  EXPECT_EQ(ReasonPhrase(504), "Gateway Time-out");
  EXPECT_EQ(StatusText(299), "");
  EXPECT_EQ(ReasonPhrase(600), "");
}

TEST(Status, KnowsWhichHaveNoBody) {
  for (const int code : {100, 101, 103, 204, 304}) EXPECT_TRUE(StatusHasNoBody(code)) << code;
  for (const int code : {200, 205, 206, 301, 404, 500}) EXPECT_FALSE(StatusHasNoBody(code)) << code;
}

}  // namespace
}  // namespace limpet::proto
