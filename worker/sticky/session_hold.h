// The session of one request, from its head until the client has all of the answer. The session is
// looked up at the head and kept alive meanwhile, however long the bodies of request and answer
// take. Belongs to one exchange and is reused with it.
//
// All that an exchange says to a StickyPolicy goes through here. Under an upstream without `sticky`
// every call does nothing.
#pragma once

#include <string_view>

#include "worker/net/loop.h"
#include "worker/sticky/sticky.h"

namespace limpet::worker {

class SessionHold {
 public:
  SessionHold(Loop& loop, conf::VariableReader& request);

  // Looks the session up. Called again when the body has come: the server may have changed
  // meanwhile, the session is counted once.
  void Find(StickyPolicy* policy);
  // See StickyPolicy.
  std::string_view OnChosen(const Peer& peer);
  void OnResponseHead(const Peer& peer);
  void OnHeadLeaves(const Peer& peer, bool buffered);
  void OnResponseEnd(const Peer& peer);
  // An answer without a foreseeable end has begun: it has the session's whole timeout before it.
  void Renew();
  // The client has its answer, or another location gives it: the session is on its own again.
  void End();

  const StickyState& state() const { return state_; }
  StickyState& state() { return state_; }
  bool quiet() const { return !touch_.armed(); }

 private:
  bool FindAgain();
  void Keep();
  uint64_t FirstTouchMs() const;
  void OnTimer();

  conf::VariableReader& request_;
  StickyPolicy* policy_ = nullptr;
  StickyState state_;
  Timer touch_;
};

}  // namespace limpet::worker
