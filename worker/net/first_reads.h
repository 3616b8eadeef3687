// Whether accepted connections are read before they are registered. Under load most clients have
// sent their request by then, and a connection that is answered and closed needs no registration;
// where the first read finds nothing, or the loop has time to register what waits for its answer,
// it is one system call too many. So it is what the last connections tell that decides, and one in
// a while is tried.
#pragma once

#include <algorithm>
#include <cstdint>

namespace limpet::worker {

class FirstReads {
 public:
  // Of the next connection.
  bool ComeFirst() { return score_ >= kEnough || ++registered_first_ % kTryEvery == 0; }
  // Whether one that was read first has ended without registration.
  void Note(bool has_saved) {
    score_ = has_saved ? std::min(score_ + 1, kMost) : std::max(score_ - 1, 0);
  }

 private:
  static constexpr int kMost = 16;
  static constexpr int kEnough = 8;
  static constexpr uint32_t kTryEvery = 16;

  int score_ = kEnough;
  uint32_t registered_first_ = 0;
};

}  // namespace limpet::worker
