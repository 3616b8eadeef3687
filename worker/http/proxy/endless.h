// Tunnels and streams of one upstream in one worker: they have no end of their own. When the
// deadline of their server's drain has passed they are told to end, unless the drain keeps them.
#pragma once

#include "worker/net/loop.h"
#include "worker/upstream/peer.h"

namespace limpet::worker {

class EndlessExchanges {
 public:
  // Destroying it leaves.
  class Member : private ListLink {
   public:
    explicit Member(Callback on_end) : on_end_(on_end) {}
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member() { Leave(); }

    void Leave() { Unlink(); }
    bool joined() const { return linked(); }

   private:
    friend class EndlessExchanges;
    Callback on_end_;
    const Peer* peer_ = nullptr;
  };

  explicit EndlessExchanges(Loop& loop);
  EndlessExchanges(const EndlessExchanges&) = delete;
  EndlessExchanges& operator=(const EndlessExchanges&) = delete;

  // `peer` must live until the member has left. It is told once, from the loop, and has left by
  // then; it may join again.
  void Join(Member& member, const Peer& peer);

 private:
  void OnTimer();

  Loop& loop_;
  ListLink members_;
  Timer timer_;
};

}  // namespace limpet::worker
