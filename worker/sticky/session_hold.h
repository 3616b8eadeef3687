// The session of one request, from its head until the client has all of the answer. The session is
// looked up at the head and kept alive meanwhile, however long the bodies of request and answer
// take. Belongs to one exchange and is reused with it.
//
// All that an exchange says to a StickyPolicy goes through here. Under an upstream without `sticky`
// every call does nothing.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "worker/net/loop.h"
#include "worker/sticky/sticky.h"
#include "worker/store/store_wait.h"

namespace limpet::worker {

class SessionHold {
 public:
  // `on_known`: what was waited for is there, or there is no time left for it.
  SessionHold(Loop& loop, conf::VariableReader& request, Callback on_known);

  // Looks the session up. Called again when the body has come: the server may have changed
  // meanwhile, the session is counted once.
  void Find(StickyPolicy* policy);
  // Other machines are asked for the session, or told of it (confirms()). `on_known` follows, and
  // once it has been called the answer is as Find would give it.
  bool waiting() const { return known_ != nullptr && known_->wait.waiting(); }
  void StopWaiting() {
    if (known_ != nullptr) known_->wait.Cancel();
  }
  bool confirms() const { return policy_ != nullptr && policy_->confirms(); }
  // See StickyPolicy.
  void OnChosen(const Peer& peer);
  void OnResponseHead(const Peer& peer);
  void OnHeadLeaves(const Peer& peer, bool buffered);
  void OnResponseEnd(const Peer& peer);
  // An answer without a foreseeable end has begun: it has the session's whole timeout before it.
  void Renew();
  // The client has its answer, or another location gives it: the session is on its own again.
  void End();

  // What OnChosen has made, once: for the client.
  std::string_view TakeCookie() {
    return known_ != nullptr ? std::exchange(known_->cookie, {}) : std::string_view();
  }

  // Of an upstream without `sticky`: nothing is known.
  const StickyState& state() const { return known_ != nullptr ? known_->state : kNothing; }
  StickyState* known() { return policy_ != nullptr ? &known_->state : nullptr; }  // null: the same
  bool quiet() const { return known_ == nullptr || (!known_->touch.armed() && !waiting()); }

 private:
  struct Known {
    explicit Known(SessionHold* hold)
        : wait(Callback::To<&SessionHold::OnWaitEnd>(hold)),
          touch(hold->loop_, Callback::To<&SessionHold::OnTimer>(hold)) {}

    StickyState state;
    std::string_view cookie;  // a value of Set-Cookie; "": none is to be given
    StoreWait wait;
    Timer touch;
  };
  static const StickyState kNothing;

  bool FindAgain();
  void Keep();
  uint64_t FirstTouchMs() const;
  void OnTimer();
  void OnWaitEnd();

  Loop& loop_;
  conf::VariableReader& request_;
  StickyPolicy* policy_ = nullptr;
  Callback on_known_;
  bool asking_ = false;  // of waiting(): for the session; else to be told that one is known
  std::unique_ptr<Known> known_;  // null before the first policy; kept for the next
};

}  // namespace limpet::worker
