// Brings the changes that other machines make to the sessions of a zone into the zone. One worker
// of a machine does it at a time, whoever holds the lease; another takes over within half a second
// when that one has died, and goes on behind the last change that was applied.
//
// Where it cannot tell what it has missed (the stream has been cut, or is another one), it reads
// what is left, writes every session of the zone to the store anew, and lets those that were last
// used before be asked for when they are used (StoreState::unsure_before_ms). What it reads again
// is no news: a store that is back with older data does not undo what has happened since, and says
// itself, to what is written anew, where it knows of a newer change.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/lease.h"
#include "shm/session_table.h"
#include "worker/net/loop.h"
#include "worker/store/store_client.h"
#include "worker/store/store_link.h"
#include "worker/store/store_zone.h"

namespace limpet::worker {

class StoreFollower final : public StoreLink::User {
 public:
  StoreFollower(StoreZone& zone, StoreClient& client);
  StoreFollower(const StoreFollower&) = delete;
  StoreFollower& operator=(const StoreFollower&) = delete;

  void Start() { OnLeaseTimer(); }
  void Stop();  // another worker may go on at once

 private:
  enum class Asked : uint8_t {
    kNothing,
    kLast,     // whether a change that was applied is still in the stream
    kChanges,  // behind it
    kTime,     // of the server: changes from then on
  };

  // StoreLink::User
  void OnUp() override;
  void OnReply(RespReply& reply) override;
  void OnDown() override;

  // Of a change that waited: it was told by a table whose places may not be ours. "": it has gone.
  std::string ServerOf(const shm::RelayedChange& change) const;
  uint64_t DeafSince();  // BootMs: since when changes are not heard, which they are not now
  void NoteDeaf(std::string_view why);  // tells the log once, after kDeafMs
  void NoteHeard();                     // that it is over, if it was told
  void OnLeaseTimer();
  void OnAgainTimer();
  void AskIfThere(std::string_view id);
  void AskForChanges();
  void OnLast(const RespReply& reply);
  void OnChanges(const RespReply& reply);
  bool Apply(const RespReply& change);
  void OfferInstead(const StoreKey& key, uint64_t known_ms);
  StoreZone::Heard HowHeard(const StoreKey& key, uint64_t id_ms, uint64_t id_count) const;
  void OnGap();
  void OnTime(const RespReply& reply);
  void BeginOffers(uint64_t used_since_ms);
  void OnOfferTimer();
  void OnRelayTimer();
  bool TellRelayed();
  void OfferPiece();
  std::string LastId() const;
  bool HasLast() const;
  bool HasRead() const;

  StoreZone& zone_;
  StoreClient& client_;
  shm::Lease lease_;
  StoreLink link_;
  Asked asked_ = Asked::kNothing;
  std::string verify_;     // the first change that was read behind since one was last seen there
  uint64_t asked_ms_ = 0;  // BootMs, with kChanges
  uint64_t verify_at_ms_ = 0;  // BootMs: when to look whether it is there
  bool caught_up_ = false;     // all changes that were there have been read
  bool offers_due_ = false;    // when all changes that there are have been read
  uint64_t lost_ms_ = 0;       // BootMs: since when changes may have been missed; 0: they are heard
  bool unreadable_ = false;    // the changes that come next cannot be read: they are passed over
  uint64_t readable_from_ = 0;    // milliseconds of the stream's ids
  shm::SlotWalk walk_;            // through the sessions that are offered
  uint32_t offers_since_ = 0;     // ticks
  uint64_t offers_as_of_ms_ = 0;  // wall: what the machine knew then
  size_t passed_ = 0;             // changes of the relay that the client has, and still lie there
  Timer lease_timer_;
  Timer offer_timer_;
  Timer relay_timer_;
  Timer again_timer_;  // after a refusal
};

}  // namespace limpet::worker
