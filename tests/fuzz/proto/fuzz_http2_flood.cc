// What a client does, a byte each: the upper half waits, the others note. A model without refill
// says what must at least be let through; a day of the highest rate says what must end.
#include <algorithm>
#include <array>

#include "proto/http2/flood.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet::proto;

FUZZ_TARGET(http2_flood, input) {
  if (input.empty()) return;
  const uint32_t streams = static_cast<unsigned char>(input[0]);
  const auto allowed = static_cast<int64_t>(std::max(100u, streams * 2));
  FloodGuard guard;
  uint64_t now = 1000;
  guard.Begin(streams, now);
  int64_t resets = 0, answered = 0;
  std::array<uint32_t, static_cast<size_t>(Chatter::kCount_)> noted{};
  bool noisy = false;
  for (const char byte : input.substr(1)) {
    const auto b = static_cast<unsigned char>(byte);
    const bool was_calm = guard.is_calm();
    bool calm = was_calm;
    if (b >= 128) {
      now += b - 128u;
    } else if (b < 64) {
      const size_t kind = b % noted.size();
      ++noted[kind];
      noisy |= noted[kind] > 64;  // the least burst of all kinds
      calm = guard.Note(static_cast<Chatter>(kind), now);
    } else if (b < 96) {
      ++resets;
      calm = b % 2 == 0 ? guard.NoteReset(now) : guard.NoteProvokedReset(now);
    } else if (b < 112) {
      ++answered;
      guard.NoteAnswered();
    } else {
      b % 2 == 0 ? guard.NoteRequest() : guard.NoteDataSent(b);
    }
    FUZZ_CHECK(calm == guard.is_calm(), "a verdict is forgotten");
    FUZZ_CHECK(was_calm || !calm, "a flood is forgiven");
    FUZZ_CHECK(calm || noisy || resets > allowed, "an honest client is sent away");
    const auto refilled = static_cast<int64_t>((now - 1000) / 1000) + 1;
    FUZZ_CHECK(!calm || resets <= allowed + answered + refilled, "resets are not bounded");
  }
}
