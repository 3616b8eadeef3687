#include "worker/store/circuit.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

TEST(Circuit, IsOpenUntilTheStoreHasAnswered) {
  Circuit circuit;
  EXPECT_FALSE(circuit.closed());
  EXPECT_TRUE(circuit.OnAnswer());
  EXPECT_TRUE(circuit.closed());
  EXPECT_FALSE(circuit.OnAnswer());  // nothing new
}

TEST(Circuit, OpensWithTheFirstAnswerThatDoesNotCome) {
  Circuit circuit;
  circuit.OnAnswer();
  EXPECT_TRUE(circuit.OnTimeout());
  EXPECT_FALSE(circuit.closed());
  EXPECT_FALSE(circuit.OnTimeout());
  EXPECT_FALSE(circuit.OnLost());
  EXPECT_TRUE(circuit.OnAnswer());  // late, but it answers
  EXPECT_TRUE(circuit.closed());
}

TEST(Circuit, OpensWithTheConnection) {
  Circuit circuit;
  circuit.OnAnswer();
  EXPECT_TRUE(circuit.OnLost());
  EXPECT_FALSE(circuit.closed());
}

TEST(Circuit, TriesTwiceAsLateEachTime) {
  Circuit circuit;
  for (const uint64_t expected : {100u, 200u, 400u, 800u, 1600u, 3200u, 5000u, 5000u, 5000u}) {
    EXPECT_EQ(circuit.NextRetryMs(0), expected);
  }
  circuit.OnTimeout();
  circuit.OnLost();
  EXPECT_EQ(circuit.NextRetryMs(0), 5000u);
}

TEST(Circuit, TriesSoonAgainAfterAnAnswer) {
  Circuit circuit;
  for (int i = 0; i < 5; ++i) circuit.NextRetryMs(0);
  circuit.OnAnswer();
  circuit.OnLost();
  EXPECT_EQ(circuit.NextRetryMs(0), Circuit::kFirstRetryMs);
}

TEST(Circuit, SpreadsTheTimeByHalfOfIt) {
  bool shortest = false, longest = false;
  for (uint64_t random = 0; random < 1000; ++random) {
    Circuit circuit;
    const uint64_t wait = circuit.NextRetryMs(random * 0x9E37'79B9'7F4A'7C15);
    EXPECT_GE(wait, 50u);
    EXPECT_LE(wait, 100u);
    shortest |= wait < 60;
    longest |= wait > 90;
  }
  EXPECT_TRUE(shortest && longest);
}

}  // namespace
}  // namespace limpet::worker
