// How fast a peer's response is read: not faster than the client takes it and proxy_limit_rate
// allows. Owns the two timers that end a pause by themselves; what else ends one is told.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/net/loop.h"

namespace limpet::worker {

class ResponsePace {
 public:
  // `look_again`: a pause for the rate may be over. `patience_over`: OnPatienceOver is to be
  // called.
  ResponsePace(Loop& loop, TimerGroup& timers, Callback look_again, Callback patience_over);

  void Begin(uint64_t bytes_a_second);  // of a body; 0: without limit
  void End();

  // What may be read now, given the bytes of the body that have been.
  uint64_t Budget(uint64_t received) const;

  struct Client {
    bool full = false;     // as much waits for it as may
    bool blocked = false;  // its socket takes no more now
  };
  // Decides whether to pause. The only place that does.
  void Look(const Client& client, uint64_t received);
  void OnClientDrained();
  void OnPatienceOver(bool client_is_blocked);

  bool paused() const { return paused_; }
  bool limited() const { return slowed_ != nullptr && slowed_->rate > 0; }
  // It has taken nothing for longer than it is waited for: its bytes go to a file.
  bool client_is_slow() const { return client_ == Pace::kSlow; }
  bool client_was_slow() const { return client_was_slow_; }  // or is, in this response

 private:
  enum class Pace : uint8_t { kKeepsUp, kBehind, kSlow };
  struct Slowed {  // what a response needs that is not read as fast as it comes
    Timer rate_pause;
    Timer patience;
    uint64_t rate = 0;  // bytes a second; 0: without limit
    uint64_t began_ms = 0;
  };
  Slowed& NeedSlowed();

  Loop& loop_;
  TimerGroup& group_;
  const Callback look_again_;
  const Callback patience_over_;
  std::unique_ptr<Slowed> slowed_;  // null before the first of them
  Pace client_ = Pace::kKeepsUp;
  bool client_was_slow_ = false;
  bool paused_ = false;
};

}  // namespace limpet::worker
