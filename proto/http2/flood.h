// Counts what a client of HTTP/2 makes us do without asking for anything: each kind may come in a
// burst and then at a rate, and what honest clients do in proportion to requests and downloads is
// earned by these. One per connection; O(1), no memory. Times are the caller's milliseconds.
//
// Each Note… is false when the connection is to end with ENHANCE_YOUR_CALM, and from then on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace limpet::proto {

// Whole tokens: time gives some each second, up to `burst`, and what is earned comes beside them,
// up to `most` in all. Begins with `burst`.
class TokenBucket {
 public:
  void Begin(uint32_t burst, uint32_t per_second, uint64_t now_ms) {
    Begin(burst, per_second, burst, now_ms);
  }
  void Begin(uint32_t burst, uint32_t per_second, uint32_t most, uint64_t now_ms);
  bool Take(uint64_t now_ms);  // false: none is left
  void Earn(uint32_t tokens);
  uint32_t tokens() const { return static_cast<uint32_t>(millis_ / 1000); }

 private:
  uint64_t millis_ = 0;  // thousandths of a token
  uint64_t last_ms_ = 0;
  uint32_t burst_ = 0;
  uint32_t per_second_ = 0;
  uint32_t most_ = 0;
};

enum class Chatter : uint8_t {
  kSettings,      // SETTINGS, not its acknowledgement
  kPing,          // PING, not its acknowledgement
  kPriority,      // PRIORITY and PRIORITY_UPDATE
  kWindowUpdate,  // WINDOW_UPDATE
  kEmptyData,     // DATA without payload and without END_STREAM
  kUnknown,       // frames of unknown types
  kContinuation,  // CONTINUATION
  kCount_,
};

class FloodGuard {
 public:
  void Begin(uint32_t concurrent_streams, uint64_t now_ms);

  bool Note(Chatter kind, uint64_t now_ms);
  // The client has reset a stream that was not answered to its end (CVE-2023-44487), or made us
  // reset one by a frame that breaks rules (CVE-2025-8671): both cost us a request that was begun
  // for nothing.
  bool NoteReset(uint64_t now_ms);
  bool NoteProvokedReset(uint64_t now_ms) { return NoteReset(now_ms); }
  // A head begins, of a stream or not; what HPACK makes of it is counted before it is stored.
  void BeginHead(size_t limit) { inflated_left_ = limit; }
  bool NoteInflated(size_t bytes);

  void NoteRequest();   // a stream has begun: it earns PRIORITY, WINDOW_UPDATE
  void NoteAnswered();  // a stream was answered to its end: it pays for a reset
  // A DATA frame of ours with so many bytes: it earns the WINDOW_UPDATE frames that give them back.
  void NoteDataSent(size_t size);

  bool is_calm() const { return calm_; }

 private:
  bool Judge(bool fine);

  std::array<TokenBucket, static_cast<size_t>(Chatter::kCount_)> chatter_{};
  TokenBucket resets_;
  size_t inflated_left_ = 0;
  bool calm_ = true;
};

}  // namespace limpet::proto
