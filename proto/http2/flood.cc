#include "proto/http2/flood.h"

#include <algorithm>

namespace limpet::proto {
namespace {

struct Allowance {
  uint32_t burst;
  uint32_t per_second;
  uint32_t most = 0;  // with what is earned; less than the burst: that
};

// By Chatter. What a kind costs us is a few microseconds, so that rates need not be tight: they
// keep a client from having nothing but that done.
constexpr std::array<Allowance, static_cast<size_t>(Chatter::kCount_)> kAllowances = {{
    {64, 1},      // SETTINGS: honest clients send one, some more when windows grow
    {1000, 100},  // PING: gRPC measures each round trip of a download with one
    {1000, 50},   // PRIORITY: a browser reorders a page's streams
    // WINDOW_UPDATE: those for what we send are earned beside these, and large windows may be full
    // of what the client gives back later.
    {4000, 400, 1'000'000},
    {100, 10},  // empty DATA: no honest client needs it
    {100, 10},  // unknown frames: GREASE sends one now and then (RFC 8701)
    {256, 16},  // CONTINUATION: the longest head that nginx's limits allow has less
}};

constexpr uint32_t kLeastResets = 100;     // RFC 9113 5.1.2 has this as the least sensible limit
constexpr uint32_t kResetsPerSecond = 1;   // a player that seeks resets its answered streams, too
constexpr uint32_t kPrioritiesEarned = 4;  // by a request: Firefox and nghttp build a tree
constexpr uint32_t kUpdatesEarned = 2;  // by a request or a piece: its stream's, the connection's
constexpr size_t kPiece = 1024;  // Go gives back 4 KB at a time, others what they read at once

constexpr size_t Index(Chatter kind) { return static_cast<size_t>(kind); }

}  // namespace

void TokenBucket::Begin(uint32_t burst, uint32_t per_second, uint32_t most, uint64_t now_ms) {
  burst_ = burst;
  most_ = std::max(burst, most);
  per_second_ = per_second;
  last_ms_ = now_ms;
  millis_ = uint64_t{burst} * 1000;
}

bool TokenBucket::Take(uint64_t now_ms) {
  const uint64_t full = uint64_t{burst_} * 1000;
  if (now_ms > last_ms_) {  // a clock that goes back earns nothing
    const uint64_t passed = std::min(now_ms - last_ms_, full);
    if (millis_ < full) millis_ = std::min(millis_ + passed * per_second_, full);
    last_ms_ = now_ms;
  }
  if (millis_ < 1000) return false;
  millis_ -= 1000;
  return true;
}

void TokenBucket::Earn(uint32_t tokens) {
  millis_ = std::min(millis_ + uint64_t{tokens} * 1000, uint64_t{most_} * 1000);
}

void FloodGuard::Begin(uint32_t concurrent_streams, uint64_t now_ms) {
  for (size_t i = 0; i < chatter_.size(); ++i) {
    const Allowance& allowed = kAllowances[i];
    chatter_[i].Begin(allowed.burst, allowed.per_second, allowed.most, now_ms);
  }
  const uint64_t resets = std::max<uint64_t>(kLeastResets, uint64_t{concurrent_streams} * 2);
  resets_.Begin(static_cast<uint32_t>(std::min<uint64_t>(resets, UINT32_MAX)), kResetsPerSecond,
                now_ms);
  inflated_left_ = 0;
  calm_ = true;
}

bool FloodGuard::Judge(bool fine) { return calm_ = calm_ && fine; }

bool FloodGuard::Note(Chatter kind, uint64_t now_ms) {
  return Judge(chatter_[Index(kind)].Take(now_ms));
}

bool FloodGuard::NoteReset(uint64_t now_ms) { return Judge(resets_.Take(now_ms)); }

bool FloodGuard::NoteInflated(size_t bytes) {
  const bool fine = bytes <= inflated_left_;
  inflated_left_ -= fine ? bytes : inflated_left_;
  return Judge(fine);
}

void FloodGuard::NoteRequest() {
  chatter_[Index(Chatter::kPriority)].Earn(kPrioritiesEarned);
  chatter_[Index(Chatter::kWindowUpdate)].Earn(kUpdatesEarned);
}

void FloodGuard::NoteAnswered() { resets_.Earn(1); }

void FloodGuard::NoteDataSent(size_t size) {
  const auto pieces = static_cast<uint32_t>(1 + size / kPiece);
  chatter_[Index(Chatter::kWindowUpdate)].Earn(kUpdatesEarned * pieces);
}

}  // namespace limpet::proto
