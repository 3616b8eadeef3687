// What honest clients do passes, what floods do ends.
#include "proto/http2/flood.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

constexpr uint64_t kBegin = 1'000'000;  // ms

FloodGuard Guard(uint32_t streams = 128) {
  FloodGuard guard;
  guard.Begin(streams, kBegin);
  return guard;
}

// How many of a kind pass at once.
int Burst(FloodGuard& guard, Chatter kind) {
  int n = 0;
  while (n < 100000 && guard.Note(kind, kBegin)) ++n;
  return n;
}

TEST(TokenBucket, RefillsToItsBurst) {
  TokenBucket bucket;
  bucket.Begin(2, 10, 0);
  EXPECT_TRUE(bucket.Take(0));
  EXPECT_TRUE(bucket.Take(0));
  EXPECT_FALSE(bucket.Take(0));
  EXPECT_FALSE(bucket.Take(99));
  EXPECT_TRUE(bucket.Take(100));
  EXPECT_TRUE(bucket.Take(3'600'000));
  EXPECT_TRUE(bucket.Take(3'600'000));
  EXPECT_FALSE(bucket.Take(3'600'000));
  EXPECT_FALSE(bucket.Take(0));  // a clock that goes back
  bucket.Earn(5);
  EXPECT_EQ(bucket.tokens(), 2u);
}

TEST(FloodGuard, EndsEachKindOfFlood) {
  for (int kind = 0; kind < static_cast<int>(Chatter::kCount_); ++kind) {
    FloodGuard guard = Guard();
    const int n = Burst(guard, static_cast<Chatter>(kind));
    EXPECT_GE(n, 64) << kind;
    EXPECT_LE(n, 4000) << kind;
    EXPECT_FALSE(guard.is_calm());
    EXPECT_FALSE(guard.Note(Chatter::kPing, kBegin + 3'600'000)) << "once is for ever";
  }
}

TEST(FloodGuard, LetsASlowRateGoOn) {
  FloodGuard guard = Guard();
  for (uint64_t s = 0; s < 3600; ++s) {
    EXPECT_TRUE(guard.Note(Chatter::kSettings, kBegin + s * 1000));
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(guard.Note(Chatter::kPing, kBegin + s * 1000));
  }
}

TEST(FloodGuard, ResetsAreBoundedByTheStreams) {
  for (const auto& [streams, allowed] : {std::pair{10u, 100}, {128u, 256}, {1000u, 2000}}) {
    FloodGuard guard = Guard(streams);
    int n = 0;
    while (n < 100000 && guard.NoteReset(kBegin)) ++n;
    EXPECT_EQ(n, allowed);
  }
  FloodGuard guard = Guard(UINT32_MAX);
  EXPECT_TRUE(guard.NoteReset(kBegin));
}

TEST(FloodGuard, ResetsOfOursThatTheClientProvokesCountAsItsOwn) {
  FloodGuard guard = Guard(10);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(guard.NoteReset(kBegin));
    EXPECT_TRUE(guard.NoteProvokedReset(kBegin));
  }
  EXPECT_FALSE(guard.NoteProvokedReset(kBegin));
}

TEST(FloodGuard, AnsweredRequestsPayForResets) {
  FloodGuard guard = Guard(10);
  for (int i = 0; i < 10000; ++i) {
    ASSERT_TRUE(guard.NoteReset(kBegin));
    guard.NoteAnswered();
  }
  // They are no savings for a later burst.
  for (int i = 0; i < 10000; ++i) guard.NoteAnswered();
  int n = 0;
  while (n < 100000 && guard.NoteReset(kBegin)) ++n;
  EXPECT_EQ(n, 100);
}

// 10 Gbit/s of 16 KiB frames, each with an update for its stream and for the connection.
TEST(FloodGuard, DownloadsEarnTheirWindowUpdates) {
  FloodGuard guard = Guard();
  guard.NoteRequest();
  for (int i = 0; i < 1'000'000; ++i) {
    guard.NoteDataSent(16384);
    ASSERT_TRUE(guard.Note(Chatter::kWindowUpdate, kBegin));
    ASSERT_TRUE(guard.Note(Chatter::kWindowUpdate, kBegin));
  }
}

// As Go's client does whose reader takes a buffer at a time.
TEST(FloodGuard, DownloadsMayBeGivenBackPieceByPiece) {
  for (const int piece : {1024, 4096}) {
    FloodGuard guard = Guard();
    for (int frame = 0; frame < 100'000; ++frame) {
      guard.NoteDataSent(16384);
      for (int i = 0; i < 2 * 16384 / piece; ++i)
        ASSERT_TRUE(guard.Note(Chatter::kWindowUpdate, kBegin)) << piece;
    }
  }
}

TEST(FloodGuard, WhatFillsLargeWindowsMayBeGivenBackLater) {
  FloodGuard guard = Guard();
  for (int frame = 0; frame < 10'000; ++frame) guard.NoteDataSent(16384);
  for (int i = 0; i < 2 * 10'000 * 4; ++i)
    ASSERT_TRUE(guard.Note(Chatter::kWindowUpdate, kBegin + static_cast<uint64_t>(i)));
}

TEST(FloodGuard, RequestsEarnTheirPriorities) {
  FloodGuard guard = Guard();
  for (int i = 0; i < 100'000; ++i) {
    guard.NoteRequest();
    for (int k = 0; k < 4; ++k) ASSERT_TRUE(guard.Note(Chatter::kPriority, kBegin));
  }
}

TEST(FloodGuard, CountsWhatAHeadInflatesTo) {
  FloodGuard guard = Guard();
  guard.BeginHead(1000);
  EXPECT_TRUE(guard.NoteInflated(400));
  EXPECT_TRUE(guard.NoteInflated(600));
  guard.BeginHead(1000);
  EXPECT_TRUE(guard.NoteInflated(999));
  EXPECT_FALSE(guard.NoteInflated(2));
  EXPECT_FALSE(guard.is_calm());
}

}  // namespace
}  // namespace limpet::proto
