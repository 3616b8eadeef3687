#include "proto/negotiation.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

TEST(AcceptsGzip, FollowsQuality) {
  for (const char* yes : {"gzip", "GZIP", "deflate, gzip", "gzip;q=1", "gzip; q=0.5",
                          "gzip;q=0.001", "br,gzip , x", "gzip;q=1.000"}) {
    EXPECT_TRUE(AcceptsGzip(yes)) << yes;
  }
  for (const char* no : {"", "br", "gzip;q=0", "gzip;q=0.000", "gzip;q=2", "gzip;q=1.1", "gzip;q=x",
                         "xgzip", "gzipx", "*"}) {
    EXPECT_FALSE(AcceptsGzip(no)) << no;
  }
}

TEST(Etag, ComparesLists) {
  EXPECT_TRUE(EtagListMatches("*", "", EtagCompare::kStrong));
  EXPECT_TRUE(EtagListMatches("\"a\", \"b\"", "\"b\"", EtagCompare::kStrong));
  EXPECT_FALSE(EtagListMatches("W/\"b\"", "\"b\"", EtagCompare::kStrong));
  EXPECT_TRUE(EtagListMatches("W/\"b\"", "\"b\"", EtagCompare::kWeak));
  EXPECT_TRUE(EtagListMatches("\"b\"", "W/\"b\"", EtagCompare::kWeak));
  EXPECT_FALSE(EtagListMatches("\"ab\"", "\"b\"", EtagCompare::kWeak));
  EXPECT_FALSE(EtagListMatches("\"a\"", "", EtagCompare::kWeak));
}

}  // namespace
}  // namespace limpet::proto
