#include "proto/websocket.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace limpet::proto {
namespace {

std::string Frame(size_t payload, bool masked) {
  const char mask = masked ? '\x80' : '\0';
  std::string out = "\x82";
  if (payload < 126) {
    out += static_cast<char>(mask | static_cast<char>(payload));
  } else if (payload < 65536) {
    out += static_cast<char>(mask | 126);
    out += static_cast<char>(payload >> 8);
    out += static_cast<char>(payload);
  } else {
    out += static_cast<char>(mask | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(payload >> shift);
  }
  if (masked) out += "mask";
  return out + std::string(payload, '\x88');
}

TEST(WebSocketFrames, AreTakenOneByOne) {
  for (const bool masked : {false, true}) {
    for (const size_t payload : {0u, 1u, 125u, 126u, 65535u, 65536u, 200'000u}) {
      SCOPED_TRACE(payload);
      const std::string frame = Frame(payload, masked);
      WebSocketFrames frames;
      EXPECT_EQ(frames.Take(frame + Frame(3, masked)), frame.size());
      EXPECT_TRUE(frames.between_frames());
    }
  }
}

TEST(WebSocketFrames, MayComeInAnyPieces) {
  const std::vector<size_t> sizes = {0, 5, 126, 0, 70'000, 1};
  std::string all;
  for (const size_t size : sizes) all += Frame(size, size % 2 == 1);
  for (const size_t step : {1u, 2u, 3u, 7u, 1000u}) {
    WebSocketFrames frames;
    size_t ends = 0;
    for (size_t at = 0; at < all.size(); at += step) {
      std::string_view piece = std::string_view(all).substr(at, step);
      while (!piece.empty()) {
        piece.remove_prefix(frames.Take(piece));
        ends += frames.between_frames() ? 1 : 0;
      }
    }
    EXPECT_EQ(ends, sizes.size()) << step;
  }
}

TEST(WebSocketFrames, GoingAwayIsOne) {
  WebSocketFrames frames;
  frames.TakeAll(
      "\x81\x03"
      "ab");
  EXPECT_FALSE(frames.between_frames());
  frames.TakeAll("c");
  EXPECT_TRUE(frames.between_frames());
  EXPECT_EQ(frames.Take(kGoingAway), kGoingAway.size());
  EXPECT_TRUE(frames.between_frames());
}

}  // namespace
}  // namespace limpet::proto
