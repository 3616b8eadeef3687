// Sticky sessions of one upstream in one worker: which peer a request belongs to, and what a
// response teaches. A policy is shared by all exchanges; what it knows of one exchange is in its
// StickyState. No call blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conf/upstream.h"
#include "conf/variables.h"
#include "shm/session_table.h"
#include "worker/upstream/peer.h"

namespace limpet::worker {

class StoreClient;
class StoreWait;
class UpstreamGroup;

enum class StickyStatus : uint8_t {
  kNone,
  kNew,      // the request brought no session
  kHit,      // its session's server has it
  kMiss,     // it brought a session that nobody knows
  kExpired,  // one whose time was over
  kRebound,  // another server has it: its session's own was down or has failed
  kBusy,     // its session's server was at max_conns: it was moved, refused, or waited in vain
  kStrict,   // refused: its session's server cannot have it, and no other may
  kDrained,  // its session's server has been drained: another one has it
  kFull,     // its session could not be stored: the zone is full
  kJoined,   // it brought no session, and follows the first request of its connection
  kQuota,    // its session was not stored: its client has, or begins, more than it may
  kAsked     // the store of several machines knew it, its zone did not; its server has it
};
std::string_view Name(StickyStatus status);  // $sticky_status: "" for kNone

struct StickyState {
  bool dry = false;       // a rehearsal: looking at the session is not counted
  std::string_view id;    // what the request carried; a view of a variable's value; "": nothing
  shm::SessionKey key{};  // of `id` (learn only)
  bool has_key = false;
  shm::SessionKey learned{};  // the session this exchange keeps alive
  bool has_learned = false;
  bool only_former = false;   // it is known under an earlier key alone, and its server has gone
  bool only_stored = false;   // it is known from the store alone: the zone has no place for it
  bool asked = false;         // it is known from the store
  bool ended = false;         // by the answer (delete=)
  StoreWait* wait = nullptr;  // for what is told to the store; null: nobody waits
  std::string_view created;  // what the answer gave, once its session has been entered; "": nothing
  uint64_t entered_ms = 0;   // when that was, in BootMs
  Peer* bound = nullptr;     // where the session lives
  const Peer* keeper = nullptr;  // where the answer has put it, or has left it; null: not yet
  Peer* leader = nullptr;        // where the first request of its connection is (FirstRequests)
  Peer* moved_from = nullptr;    // where it lived before, if it may go back there; else null
  bool temporary = false;   // another server than `bound` answers, but does not get the session
  bool sealed = false;      // `id` is a signed value: it is another one with each renewal
  bool is_void = false;     // `id` is not signed by us, or its time is over: it names nobody
  bool renews = false;      // the client gets its signed value anew
  std::string_view reason;  // why a signed value leads nowhere, for people
  StickyStatus status = StickyStatus::kNone;
  bool has_age = false;
  uint64_t idle_ms = 0;  // since the session's last use, if has_age
};

class StickyPolicy {
 public:
  virtual ~StickyPolicy() = default;

  // The peer that the request's session is bound to, or null. Once per exchange, before the first
  // choice.
  virtual Peer* Find(conf::VariableReader& request, StickyState& state) = 0;
  // The request brought a session that is not known here. True: others are asked, and `wait` is
  // called from the loop when it is to be looked for again.
  virtual bool Ask(const StickyState& /*state*/, StoreWait* /*wait*/) { return false; }
  // Whether what a response head teaches has to be with others before the client gets it: `wait` of
  // the state is called then.
  virtual bool confirms() const { return false; }
  // `peer` has been chosen. Returns the value of a Set-Cookie field for the response, in the
  // reader's memory; "": none.
  virtual std::string_view OnChosen(conf::VariableReader& /*request*/, StickyState& /*state*/,
                                    const Peer& /*peer*/) {
    return {};
  }
  // The response head of `peer` has come and goes to the client: no page of ours takes its place.
  virtual void OnResponseHead(conf::VariableReader& /*request*/, StickyState& /*state*/,
                              const Peer& /*peer*/) {}
  // That head is composed, and nothing of it has left: what it tells the client must be known
  // before the client can come back with it. `buffered`: the answer may be held back to its end.
  virtual void OnHeadLeaves(conf::VariableReader& /*request*/, StickyState& /*state*/,
                            const Peer& /*peer*/, bool /*buffered*/) {}
  // The response of `peer`, which was the one to use, is over, well or not.
  virtual void OnResponseEnd(conf::VariableReader& /*request*/, StickyState& /*state*/,
                             const Peer& /*peer*/) {}
  // What this client's sessions are bounded to, and how many it has, for a person; "": they are
  // not.
  virtual std::string QuotaNote(conf::VariableReader& /*request*/) { return {}; }
  // Idle time after which a session is over; 0: not known.
  virtual uint64_t timeout_ms() const { return 0; }
  // From time to time while an exchange lives: its session must not end under it. 0: never.
  virtual uint64_t touch_interval_ms() const { return 0; }
  virtual void Touch(const StickyState& /*state*/) {}
  // The group has other peers than before.
  virtual void OnPeersChanged() {}
  // This worker ends its last requests. Others, of a newer configuration perhaps, decide from now
  // on where sessions live.
  virtual void OnStopping() {}
};

// The server's id as clients see it: under sticky_secret its MD5 with the secret, in hex.
std::string VisibleId(const conf::Sticky& conf, conf::VariableReader& request, const Peer& peer);
// The peer that a client's id names; null: none.
Peer* FindByVisibleId(const conf::Sticky& conf, conf::VariableReader& request, UpstreamGroup& group,
                      std::string_view id);

// What a learn policy learns into. `store` null: its sessions are of this machine.
struct StickySessions {
  const conf::SessionZone* zone = nullptr;
  shm::SessionTable* table = nullptr;
  StoreClient* store = nullptr;
};

// Null for an upstream without `sticky`. `sessions`: of a learn policy.
std::unique_ptr<StickyPolicy> MakeSticky(const conf::Upstream& conf, UpstreamGroup& group,
                                         const StickySessions& sessions);

}  // namespace limpet::worker
