// What the tables of a zone's earlier sizes still hear. Processes of the old configuration go on
// with the old table until they end: what they learn, bind anew and touch there reaches the table
// that took its place when somebody looks for it, at once, and anyway from time to time until the
// last of them has ended.
//
// A table under another key (the zone got a key_file, or another one) keeps its sessions until they
// end: they are found by their identifiers only.
//
// Made by the master before it forks: workers have a copy of it, over the same memory. A session
// that the new table had from the beginning and lost since (forgotten, rotated) does not come back:
// only what the old one heard after the move counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/session_table.h"
#include "shm/zone.h"

namespace limpet::shm {

class LateSessions {
 public:
  enum class Key : uint8_t {
    kSame,
    kOther,
    kEarlierOfStore  // the store may have the sessions under it, too
  };
  // `table` is in `zone`, and its sessions were moved at that time; 0: none was, all are news.
  // `name`: of the zone, which goes with it; "": it has none.
  void Add(Zone zone, const SessionTable& table, uint64_t moved_ms, Key key = Key::kSame,
           std::string name = "");
  bool empty() const { return earlier_.empty(); }
  bool HasNamed(const std::string& name) const;  // what stands under that name now

  // Any process. Whether an earlier table has news of this session, which `to` has now. Peek: as it
  // would be then; a miss: there is no news.
  bool Fetch(const SessionKey& key, SessionTable* to, uint64_t now_ms) const;
  Found Peek(const SessionKey& key, const SessionTable& to, uint64_t now_ms) const;
  void Forget(const SessionKey& key, uint64_t now_ms) const;
  // In the tables under other keys; the peer is one of `to`, or kNoPeer: it has gone.
  Found FindByIdentifier(std::string_view id, const SessionTable& to, uint64_t now_ms) const;
  void ForgetByIdentifier(std::string_view id, uint64_t now_ms) const;

  // A piece of a walk of ForgetPeer (`target`: kNoPeer) or MovePeer of `to`: what the earlier
  // tables have of that peer is news like any other, and then forgotten or bound so there. `told`:
  // gets, if it is not null, what a store has to hear of under an earlier key. False: they are
  // done.
  bool WalkPeer(uint16_t peer, uint16_t target, SessionTable* to, uint32_t budget, uint64_t now_ms,
                PeerWalk* walk, std::vector<SessionRecord>* told = nullptr) const;

  // The master. A bounded piece of a walk through the earlier tables that brings their news over;
  // true: there is more of this walk. A table that nobody else used when its walk began is let go
  // at the end of it.
  bool Step(SessionTable* to, uint64_t now_ms);
  void BringAll(SessionTable* to,
                uint64_t now_ms);  // all that they have heard so far
  // Under the key before the present one, as shm::Save; no file, if there are none.
  Status SaveRekeyed(const std::string& path, uint64_t now_ms) const;
  void Rename(const std::string& from, const std::string& to);  // a zone has got another name
  void RemoveNames();                                           // of what nobody else uses
  bool Hold() const;                                            // all of them: see Zone::Hold

 private:
  struct Earlier {
    Zone zone;
    SessionTable table;
    uint32_t moved_tick;
    SlotWalk walk;
    uint32_t walk_tick = 0;  // when it began
    bool last = false;       // the walk began when nobody else used it
    bool rekeyed = false;
    bool shared = false;
    std::string name;
    uint64_t moved_ms = 0;
  };
  bool DropRekeyed(uint64_t now_ms);
  static bool Bring(const Earlier& from, const SessionRecord& news, SessionTable* to,
                    uint64_t now_ms);

  std::vector<Earlier> earlier_;
};

}  // namespace limpet::shm
