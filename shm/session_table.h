// Sticky sessions shared by all workers: session key -> upstream peer, in one zone of fixed size.
//
// A SessionTable is a view on mapped memory, cheap to copy; each process holds its own. Any process
// may call anything. Looking up takes no lock and waits for nobody. Changing takes one shard's lock
// for a short, bounded time. A process may die anywhere: the next one to lock what it held repairs
// it (shard_repair.cc), and no live session is lost.
//
// Keys are stored only as keyed hashes. Times are CLOCK_BOOTTIME milliseconds (limpet::BootMs()),
// given by the caller; the table keeps tenths of a second. A session's age is checked whenever it
// is looked up, collected or not.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "shm/fill_level.h"
#include "shm/peer_directory.h"
#include "shm/session_counters.h"
#include "shm/session_layout.h"
#include "shm/shard.h"

namespace limpet::shm {

struct SessionKey {
  Digest128 hash;
};

struct SessionPolicy {
  // Idle time after which a session is over; 0: never.
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  bool norefresh = false;  // the time runs from creation instead
  bool rotate = true;  // a full table gives up its longest idle session, else it refuses new ones
};

enum class LookupResult : uint8_t { kHit, kMiss, kExpired };

struct Found {
  LookupResult result = LookupResult::kMiss;
  uint16_t peer = kNoPeer;  // set for kHit only
  // Since its last use; since its creation where the policy says norefresh.
  std::chrono::milliseconds idle{0};
};

enum class LearnResult : uint8_t {
  kCreated,
  kRefreshed,  // was there, with the same peer
  kRebound,    // was there, with another peer
  kRefused,  // the table is full and may not rotate, or it lives elsewhere and the peer is retired
};

// However fast they go: a step's work is bounded by a count as well as by a clock.
inline constexpr uint32_t kMostCollectedPerStep = 128;

struct CollectResult {
  uint64_t collected = 0;
  bool more = false;  // the step ended before the work did
};

// A walk over the whole table in bounded steps. Begin with a default one, call again while `more`.
// The tables of the zone's earlier sizes come first, unless `earlier` says that all are done.
struct PeerWalk {
  static constexpr uint32_t kNoEarlier = UINT32_MAX;
  uint32_t earlier = 0;  // of them, those that are done
  uint32_t shard = 0;
  uint32_t bucket = 0;
  uint64_t changed = 0;  // sessions forgotten or moved so far
  bool more = true;
};

// A walk over the slots of a table that others are changing; as PeerWalk.
struct SlotWalk {
  uint32_t shard = 0;
  uint32_t slot = 0;
  bool more = true;
};

// A session as it leaves one table for another or for a file. `last_tick`: see TickOf().
struct SessionRecord {
  uint64_t tag = 0;
  uint32_t last_tick = 0;
  // 15 more bits of fingerprint; the top bit says that it was looked up at least once.
  uint16_t extra = 0;
  uint16_t place = 0;  // its peer's index in the table it comes from, and its UseSpan; or kNoPeer

  uint16_t peer() const { return place == kNoPeer ? kNoPeer : Value{place}.peer(); }
  UseSpan span() const { return Value{place}.span(); }
};
static_assert(sizeof(SessionRecord) == 16);
static_assert(Value::Of(0, false, 0, kPeerMask, UseSpan(UseSpan::kMost)).bits < kNoPeer);

class LateSessions;
class SessionQuota;

class SessionTable {
 public:
  static constexpr size_t kMinBytes = 32 * 1024;  // nginx's smallest zone: eight pages

  // How many sessions a zone of that size holds; exact, and all that fill levels are measured
  // against.
  static uint64_t CapacityFor(size_t bytes) { return Geometry::For(bytes).Capacity(); }

  // Lays an empty table over zeroed memory; all earlier content is gone. memory: aligned to a cache
  // line.
  static SessionTable Format(std::byte* memory, size_t bytes, const SipKey& key = RandomSipKey());

  // A view on what Format() laid. The error says what does not fit: magic, version, size or
  // checksum. One of the earlier layout may be read, forgotten from and superseded, and nothing
  // else.
  static Result<SessionTable> Attach(std::byte* memory, size_t bytes);
  bool of_earlier_layout() const { return header_->version != kLayoutVersion; }

  // Empty; only assignment is valid.
  SessionTable() = default;

  // From now on this process counts in that slot. Slots are taken modulo their number.
  void AttachWorker(int slot);

  // On load and reload; takes effect in all processes at once.
  void SetPolicy(const SessionPolicy& policy);
  SessionPolicy Policy() const;
  // Fill levels from which the master logs; in the zone, so that any process may set them. Kept to
  // a thousandth.
  void SetFillLimits(const FillLimits& limits);
  FillLimits GetFillLimits() const;

  SessionKey KeyOf(std::string_view session_id) const { return {SipHash128(session_id, key_)}; }

  // Counts as a use of the session if `touch`; else the caller touches or learns it when the
  // request has gone well.
  Found Lookup(const SessionKey& key, uint64_t now_ms, bool touch = true);
  Found Peek(const SessionKey& key, uint64_t now_ms) const;  // leaves no trace
  // A session that is not here under the zone's key, in the tables of its earlier ones.
  Found FindFormer(std::string_view session_id, uint64_t now_ms) const;
  void ForgetFormer(std::string_view session_id, uint64_t now_ms) const;
  bool has_former() const { return late_ != nullptr; }
  LearnResult Learn(const SessionKey& key, uint16_t peer, uint64_t now_ms);
  // One whose last use was then; before this boot: below zero, wrapped around. Not the same as a
  // Learn at that time: all others are of now.
  LearnResult LearnUsed(const SessionKey& key, uint16_t peer, uint64_t used_ms, uint64_t now_ms);
  bool Touch(const SessionKey& key,
             uint64_t now_ms);  // keeps the session of a long connection; false: it is gone
  bool Forget(const SessionKey& key, uint64_t now_ms);

  // Of this process's view: where to look for what this table has not heard yet; null: nowhere. It
  // must outlive the view.
  void set_late(const LateSessions* late) { late_ = late; }

  // Of this process's view: what bounds new sessions; null: nothing. It must outlive the view.
  void set_quota(SessionQuota* quota) { quota_ = quota; }
  SessionQuota* quota() const { return quota_; }

  void CountUsed() { Count(counters_->used); }
  void CountTooLong() { Count(counters_->too_long); }
  void CountOverQuota() { Count(counters_->over_quota); }
  void CountOverRate() { Count(counters_->over_rate); }

  // Peers. An index stays what it is over reloads; see peer_directory.h. kNoPeer: the directory is
  // full.
  uint16_t PeerIndex(std::string_view server_id);
  // No session that lives elsewhere is bound there any more. Its sessions stay its own, and are
  // found, until they are bound to another or end: whose server has gone lives from then on where
  // it is served, as in nginx.
  void RetirePeer(uint16_t peer) { peers_.Retire(peer); }
  std::string PeerName(uint16_t peer) const { return peers_.Name(peer); }
  const PeerDirectory& peers() const { return peers_; }
  // Sessions bound to it, expired but uncollected ones included.
  uint64_t PeerLive(uint16_t peer) const;

  // Look at up to `budget` slots of one shard: all sessions of a peer are forgotten, or bound to
  // another, also those that processes with the zone's earlier size have. `changed`: gets those
  // that were, if it is not null.
  void ForgetPeer(uint16_t peer, uint32_t budget, uint64_t now_ms, PeerWalk* walk,
                  std::vector<SessionRecord>* changed = nullptr);
  void MovePeer(uint16_t from, uint16_t to, uint32_t budget, uint64_t now_ms, PeerWalk* walk,
                std::vector<SessionRecord>* changed = nullptr);

  // Removes expired sessions of one shard, holding its lock for some tens of microseconds at most.
  // Costs nothing but a glance at each shard while nothing has expired. Call while `more`. Where it
  // throws LockBusy, the next call goes on with the next shard.
  CollectResult CollectStep(uint64_t now_ms);

  uint64_t Capacity() const { return geometry_.Capacity(); }
  uint64_t Live() const;  // expired but uncollected ones included
  // No session is older than that: since its last use, or since its creation where the policy says
  // norefresh. An upper bound, exact when the collector has just been here.
  std::chrono::milliseconds OldestAge(uint64_t now_ms) const;
  SessionCounters Sum() const;
  std::vector<SessionCounters> PerWorker() const;

  // For snapshots, migration and the check after a crash; slow.
  uint64_t RepairAll(bool nobody_else_is_here, uint64_t now_ms);  // sessions found
  // The unexpired ones, newest first; one that moves at that moment may be there twice.
  std::vector<SessionRecord> Export(uint64_t now_ms) const;
  // Into a table of our own, newest first, as Export() gives them. False: full. Never rotates.
  bool Import(const SessionRecord& record, uint16_t peer, uint64_t now_ms);
  // What a session was last told, whether or not it is over; takes no lock.
  std::optional<SessionRecord> ReadRecord(const SessionKey& key) const;
  // Those of a piece of the table that were used at that tick or later; takes no lock.
  std::vector<SessionRecord> UsedSince(uint32_t tick, uint32_t budget, SlotWalk* walk) const;
  // Of a piece of the table, as UsedSince: those that have not been used for so long and are not
  // over.
  std::vector<SessionRecord> IdleFor(uint64_t idle_ms, uint64_t now_ms, uint32_t budget,
                                     SlotWalk* walk) const;
  // Binds a session to another peer if it is still as the record says: not used since, and where it
  // was. It stays as idle as it is.
  bool MoveIdle(const SessionRecord& record, uint16_t to, uint64_t now_ms);
  // News of a session from the table of another size that this one took its sessions from at
  // `moved_tick`. What was not used here since is as the record says, what was keeps its peer.
  // False: nothing new. May rotate.
  bool Adopt(const SessionRecord& record, uint16_t peer, uint32_t moved_tick, uint64_t now_ms);
  // The peer of a session that is so here, by that news of it; nothing: it is none.
  std::optional<uint16_t> PeerByNews(const SessionRecord& here, const SessionRecord& news,
                                     uint16_t peer, uint32_t moved_tick, uint64_t now_ms) const;
  Found Judge(uint32_t last_tick, uint16_t peer, uint64_t now_ms) const;  // of such a record
  void Supersede() { StoreRelease(header_->superseded, 1u); }
  bool Superseded() const { return LoadAcquire(header_->superseded) != 0; }
  void AdoptKey(const SipKey& key);  // only while the table is empty and nobody else is attached
  const SipKey& secret() const { return key_; }
  // Compares everything derived with the slots; the first contradiction as text, empty if there is
  // none. For tests.
  std::string Check(uint64_t now_ms);

 private:
  SessionTable(std::byte* memory, const Geometry& geometry);

  PolicyView View() const { return PolicyView::Unpack(LoadRelaxed(header_->policy)); }
  Shard ShardAt(uint32_t index) const;
  Shard ShardOf(const Fingerprint& key) const;
  Found LookUp(const SessionKey& key, uint64_t now_ms, bool touch);
  void FetchLate(const SessionKey& key, uint64_t now_ms);
  Found WithLate(const SessionKey& key, uint64_t now_ms, const Found& here) const;
  bool TakesSessions(uint16_t peer, bool lives_elsewhere) const;
  bool UseLive(const SessionKey& key, uint64_t now_ms);
  LearnResult InsertLocked(Shard& shard, const Fingerprint& key, Value value,
                           const PolicyView& policy, uint32_t now);
  LearnResult LearnLocked(Shard& shard, const Fingerprint& key, Value value,
                          const PolicyView& policy, uint32_t now);
  LearnResult Renew(Shard& shard, const Slot& slot, Value value, const PolicyView& policy,
                    uint32_t now, bool* done);
  bool MakeRoom(Shard& shard, const PolicyView& policy, uint32_t now);
  void ExportShard(Shard shard, uint64_t now_ms, std::vector<SessionRecord>* all) const;
  void CopyShard(const Shard& shard, uint32_t now, std::vector<SessionRecord>* all) const;
  void Walk(PeerWalk* walk, uint32_t budget, uint64_t now_ms, uint16_t from, uint16_t to,
            std::vector<SessionRecord>* changed);

  std::byte* memory_ = nullptr;
  ZoneHeader* header_ = nullptr;
  Geometry geometry_{};
  SipKey key_{};
  SessionCounterLine* counters_ = nullptr;
  PeerDirectory peers_;
  const LateSessions* late_ = nullptr;
  SessionQuota* quota_ = nullptr;
  uint32_t next_collect_ = 0;  // the shard CollectStep looks at next
};

}  // namespace limpet::shm
