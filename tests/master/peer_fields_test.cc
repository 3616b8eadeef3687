#include "master/peer_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace limpet::master {
namespace {

void Recall(std::string_view text, shm::PeerState& state) {
  RecallPeerState(Split(text, '\t'), state);
}

// With 1 to 6 after the flags.
void FillFirstSeven(shm::PeerState& state, uint32_t flags) {
  state.own.flags = flags;
  state.own.fails = 1;
  state.own.accessed_ms = 2;
  state.own.checked_ms = 3;
  state.own.started_ms = 4;
  state.own.drain_until_ms = 5;
  state.own.failing_checks = 6;
}

TEST(PeerFields, EverythingThatIsToldIsRecalled) {
  shm::PeerState told;
  FillFirstSeven(told, shm::kPeerDraining | 1u << 30);
  told.requests = 1ull << 40;
  told.failed = 8;
  told.unavailable = 9;
  told.downtime_ms = 10;
  told.header_time_ms = 11;
  told.response_time_ms = 12;
  told.probes = 13;
  told.failed_probes = 14;
  told.unhealthy = 15;
  for (uint32_t i = 0; i < 5; ++i) told.responses[i] = 16 + i;
  told.sent = 21;
  told.received = 22;
  told.weight = 5;
  told.current_weight = -3;
  told.effective_weight = 4;
  told.conns = 77;
  told.passed = 9;
  told.down_since_ms = 23;
  told.selected_ms = 24;
  told.codes.Add(404);

  shm::PeerState state;
  Recall(TellPeerState(told), state);
  EXPECT_EQ(state.own.flags, uint32_t{shm::kPeerDraining}) << "flags of no meaning are not told";
  EXPECT_EQ(state.own.accessed_ms, 2u);
  EXPECT_EQ(state.requests, 1ull << 40);
  EXPECT_EQ(state.unhealthy, 15u);
  EXPECT_EQ(state.responses[4], 20u);
  EXPECT_EQ(state.received, 22u);
  EXPECT_EQ(state.down_since_ms, 23u);
  EXPECT_EQ(state.weight, 5);
  EXPECT_EQ(state.current_weight, -3);
  EXPECT_EQ(state.effective_weight, 4);
  EXPECT_EQ(state.conns, 0u) << "connections stay with those that have them";
  EXPECT_EQ(state.passed, shm::PeerState::kPassedBefore) << "each binary has its own generations";
  told.own.flags = shm::kPeerDraining;
  told.passed = shm::PeerState::kPassedBefore;
  EXPECT_EQ(TellPeerState(state), TellPeerState(told)) << "and all others";
}

// The first seven fields are what all binaries know, in this order.
TEST(PeerFields, AnOlderBinaryUnderstandsTheFirstSeven) {
  shm::PeerState told;
  FillFirstSeven(told, shm::kPeerDown);
  EXPECT_THAT(TellPeerState(told), testing::StartsWith("1\t1\t2\t3\t4\t5\t6\t"));
}

TEST(PeerFields, LinesOfAnOlderBinaryAreUnderstood) {
  shm::PeerState state;
  state.requests = 99;
  Recall("2\t1\t2\t3\t4\t5\t6", state);
  EXPECT_EQ(state.own.flags, uint32_t{shm::kPeerDraining});
  EXPECT_EQ(state.own.failing_checks, 6u);
  EXPECT_EQ(state.requests, 99u) << "not told";
}

TEST(PeerFields, WhoHasBeenGivenRequestsByAnOlderBinaryWasInService) {
  const std::string more = "\t0\t0\t0\t0\t0\t0\t0\t0\t0";
  for (const auto& [text, passed] : {std::pair{"0\t0\t0\t0\t0\t0\t0\t5", true},
                                     {"0\t0\t0\t0\t0\t0\t0\t0", false},
                                     {"4\t0\t0\t0\t0\t0\t1\t5", false}}) {
    shm::PeerState state;
    Recall(text + more, state);
    EXPECT_EQ(state.HasPassed(), passed) << text;
  }
}

TEST(PeerFields, WhatANewerBinarySaysBesidesIsPassedOver) {
  shm::PeerState told;
  told.effective_weight = 4;
  shm::PeerState state;
  Recall(TellPeerState(told) + "\t8\t9", state);
  EXPECT_EQ(state.effective_weight, 4);
}

TEST(PeerFields, RubbishChangesNothing) {
  for (const char* text :
       {"", "2", "2\t1\t2\t3\t4\t5", "2\t1\t2\tx\t4\t5\t6", "2\t1\t2\t3\t4\t5\t6\t",
        "2\t1\t2\t3\t4\t5\t6\t--1", "2\t1\t2\t3\t4\t5\t6\t-"}) {
    shm::PeerState state;
    Recall(text, state);
    EXPECT_EQ(state.own.flags, 0u) << text;
    EXPECT_EQ(state.own.fails, 0u) << text;
  }
}

}  // namespace
}  // namespace limpet::master
