// Whether a store is asked, and when the next attempt to reach it is made. Pure; one for each
// connection.
//
// It opens with the first answer that does not come in time, and with a connection that breaks:
// from then on nobody waits for the store. It closes with the first answer that comes.
#pragma once

#include <cstdint>

namespace limpet::worker {

class Circuit {
 public:
  static constexpr uint64_t kFirstRetryMs = 100;
  static constexpr uint64_t kLongestRetryMs = 5'000;

  bool closed() const { return closed_; }  // questions are asked

  // True: the state has changed by it.
  bool OnAnswer();   // any, also the one to the greeting
  bool OnTimeout();  // of a question
  bool OnLost();     // the connection; or it could not be made

  // How long to wait before the next attempt to connect: twice as long each time, until an answer
  // has come. `random`: any number; the time is spread by half of it, so that machines do not come
  // back at the same moment.
  uint64_t NextRetryMs(uint64_t random);

 private:
  bool closed_ = false;
  uint64_t retry_ms_ = kFirstRetryMs;
};

}  // namespace limpet::worker
