// What the master and the status API do with whole tables: collect, walk, sum, repair, export.
#include <algorithm>
#include <chrono>

#include "shm/crc32.h"
#include "shm/late_sessions.h"
#include "shm/session_table.h"

namespace limpet::shm {
namespace {

constexpr uint32_t kCollectBatch = 8;  // sessions between two glances at the clock
constexpr uint32_t kCollectBatches = kMostCollectedPerStep / kCollectBatch;
constexpr std::chrono::microseconds kCollectTime{12};  // well below the 50 us that are promised

SessionCounters Read(const SessionCounterLine& line) {
  SessionCounters c;
  c.hits = LoadRelaxed(line.hits);
  c.misses = LoadRelaxed(line.misses);
  c.expired = LoadRelaxed(line.expired);
  c.lookups = c.hits + c.misses + c.expired;
  c.used = LoadRelaxed(line.used);
  c.created = LoadRelaxed(line.created);
  c.refreshed = LoadRelaxed(line.refreshed);
  c.rotated = LoadRelaxed(line.rotated);
  c.refused = LoadRelaxed(line.refused);
  c.too_long = LoadRelaxed(line.too_long);
  c.over_quota = LoadRelaxed(line.over_quota);
  c.over_rate = LoadRelaxed(line.over_rate);
  c.collected = LoadRelaxed(line.collected);
  c.repaired = LoadRelaxed(line.repaired);
  c.moved = LoadRelaxed(line.moved);
  return c;
}

void Add(const SessionCounters& more, SessionCounters* sum) {
  sum->lookups += more.lookups;
  sum->hits += more.hits;
  sum->misses += more.misses;
  sum->expired += more.expired;
  sum->used += more.used;
  sum->created += more.created;
  sum->refreshed += more.refreshed;
  sum->rotated += more.rotated;
  sum->refused += more.refused;
  sum->too_long += more.too_long;
  sum->over_quota += more.over_quota;
  sum->over_rate += more.over_rate;
  sum->collected += more.collected;
  sum->repaired += more.repaired;
  sum->moved += more.moved;
}

SessionRecord RecordOf(uint64_t tag, Value value) {
  return {tag, value.tick(), static_cast<uint16_t>(value.bits >> 16),
          static_cast<uint16_t>(value.bits)};
}

Value ValueOf(const SessionRecord& record) {
  return {uint64_t{record.last_tick} << 32 | uint64_t{record.extra} << 16 | record.place};
}

Fingerprint FingerprintOf(const SessionRecord& record) {
  return {record.tag, static_cast<uint16_t>(record.extra & 0x7FFF)};
}

}  // namespace

CollectResult SessionTable::CollectStep(uint64_t now_ms) {
  const PolicyView policy = View();
  const uint32_t now = TickOf(now_ms);
  CollectResult result;
  for (uint32_t i = 0; i < geometry_.shards; ++i) {
    const uint32_t index = next_collect_;
    next_collect_ = (index + 1) % geometry_.shards;  // also if its lock cannot be had
    Shard shard = ShardAt(index);
    if (!shard.WorthCollecting(policy, now)) continue;
    {
      const ShardLock lock(shard, now, counters_->repaired);
      const auto end = std::chrono::steady_clock::now() + kCollectTime;
      for (uint32_t batch = 0; batch < kCollectBatches; ++batch) {
        uint32_t budget = kCollectBatch;
        result.more = shard.Collect(policy, now, &budget, &result.collected);
        if (!result.more || std::chrono::steady_clock::now() >= end) break;
      }
    }
    Count(counters_->collected, result.collected);
    if (result.more) next_collect_ = index;
    result.more = result.more || i + 1 < geometry_.shards;
    return result;
  }
  return result;
}

uint64_t SessionTable::Live() const {
  uint64_t live = 0;
  for (uint32_t i = 0; i < geometry_.shards; ++i) live += ShardAt(i).Live();
  return live;
}

std::chrono::milliseconds SessionTable::OldestAge(uint64_t now_ms) const {
  uint32_t oldest = kNil;
  for (uint32_t i = 0; i < geometry_.shards; ++i) {
    const Shard shard = ShardAt(i);
    if (shard.Live() > 0) oldest = std::min(oldest, LoadRelaxed(shard.head().oldest_tick));
  }
  if (oldest == kNil) return std::chrono::milliseconds(0);
  return std::chrono::milliseconds(PolicyView::Age(oldest, TickOf(now_ms)) * kTickMs);
}

uint64_t SessionTable::PeerLive(uint16_t peer) const {
  uint64_t live = 0;
  if (peer >= geometry_.max_peers) return 0;
  for (uint32_t i = 0; i < geometry_.shards; ++i) live += ShardAt(i).Live(peer);
  return live;
}

std::vector<SessionCounters> SessionTable::PerWorker() const {
  const auto* lines = reinterpret_cast<const SessionCounterLine*>(memory_ + sizeof(ZoneHeader));
  std::vector<SessionCounters> all;
  for (uint32_t i = 0; i < geometry_.counter_lines; ++i) all.push_back(Read(lines[i]));
  return all;
}

SessionCounters SessionTable::Sum() const {
  SessionCounters sum;
  for (const SessionCounters& line : PerWorker()) Add(line, &sum);
  return sum;
}

// An entry is needed for a new server and none is free: of the servers that are gone, and of whose
// sessions none is left, the one that has been gone longest makes room.
uint16_t SessionTable::PeerIndex(std::string_view server_id) {
  for (;;) {
    const uint16_t peer = peers_.FindOrAdd(server_id);
    if (peer != kNoPeer) return peer;
    uint16_t old = peers_.LongestRetired(kNoPeer);
    while (old != kNoPeer && PeerLive(old) != 0) old = peers_.LongestRetired(old);
    if (old == kNoPeer || !peers_.Free(old)) return kNoPeer;
  }
}

void SessionTable::ForgetPeer(uint16_t peer, uint32_t budget, uint64_t now_ms, PeerWalk* walk,
                              std::vector<SessionRecord>* changed) {
  if (late_ != nullptr && late_->WalkPeer(peer, kNoPeer, this, budget, now_ms, walk, changed))
    return;
  Walk(walk, budget, now_ms, peer, kNoPeer, changed);
}

void SessionTable::MovePeer(uint16_t from, uint16_t to, uint32_t budget, uint64_t now_ms,
                            PeerWalk* walk, std::vector<SessionRecord>* changed) {
  if (!peers_.Active(to)) {
    walk->more = false;
    return;
  }
  if (late_ != nullptr && late_->WalkPeer(from, to, this, budget, now_ms, walk, changed)) return;
  Walk(walk, budget, now_ms, from, to, changed);
}

// to == kNoPeer: forget. Sessions that move behind the walk's back are met when it begins the shard
// again, which it does while the shard has some of that peer left.
void SessionTable::Walk(PeerWalk* walk, uint32_t budget, uint64_t now_ms, uint16_t from,
                        uint16_t to, std::vector<SessionRecord>* changed) {
  while (walk->shard < geometry_.shards && ShardAt(walk->shard).Live(from) == 0) {
    ++walk->shard;
    walk->bucket = 0;
  }
  walk->more = walk->shard < geometry_.shards && from != to && from < geometry_.max_peers;
  if (!walk->more) return;

  Shard shard = ShardAt(walk->shard);
  const ShardLock lock(shard, TickOf(now_ms), counters_->repaired);
  const uint32_t begin = walk->bucket * kSlotsPerBucket;
  const uint32_t end = std::min(shard.SlotCount(), begin + std::max(budget, kSlotsPerBucket));
  for (uint32_t index = begin; index < end;) {
    const Slot slot = shard.At(index);
    const uint64_t tag = shard.TagAt(index);
    if (!slot || slot.value.peer() != from) {
      ++index;
    } else if (to == kNoPeer ? shard.Remove(slot) : shard.Rebind(slot, slot.value.BoundTo(to))) {
      ++walk->changed;
      ++index;
      if (changed != nullptr)
        changed->push_back({tag, slot.value.tick(), slot.value.fingerprint(), to});
    }  // else it was used meanwhile: once more
  }
  walk->bucket = end == shard.SlotCount() ? 0 : end / kSlotsPerBucket;
}

uint64_t SessionTable::RepairAll(bool nobody_else_is_here, uint64_t now_ms) {
  const uint32_t now = TickOf(now_ms);
  if (nobody_else_is_here) header_->peers_lock.Init();
  for (uint32_t i = 0; i < geometry_.shards; ++i) {
    Shard shard = ShardAt(i);
    if (nobody_else_is_here) shard.InitLock();
    const ShardLock lock(shard, now, counters_->repaired);
    shard.Repair(now);
  }
  return Live();
}

// Without the lock, as lookups do: nobody waits for a copy of the table. What is filled anew at
// that moment is left out. A session that was moved may have been missed, which the count of moves
// shows; only where that goes on and on the lock is taken.
void SessionTable::ExportShard(Shard shard, uint64_t now_ms,
                               std::vector<SessionRecord>* all) const {
  constexpr int kTries = 8;
  const uint32_t now = TickOf(now_ms);
  const size_t before = all->size();
  for (int i = 0; i < kTries; ++i) {
    all->resize(before);
    const uint32_t moves = LoadAcquire(shard.head().moves);
    CopyShard(shard, now, all);
    if (LoadAcquire(shard.head().moves) == moves) return;
  }
  const ShardLock lock(shard, now, counters_->repaired);
  all->resize(before);
  CopyShard(shard, now, all);
}

void SessionTable::CopyShard(const Shard& shard, uint32_t now,
                             std::vector<SessionRecord>* all) const {
  const PolicyView policy = View();
  for (uint32_t index = 0; index < shard.SlotCount(); ++index) {
    const uint64_t tag = shard.TagAt(index);
    const Slot slot = shard.At(index);
    if (!slot || shard.TagAt(index) != tag) continue;
    if (policy.Expired(slot.value.tick(), now)) continue;
    all->push_back(RecordOf(tag, slot.value));
  }
}

std::vector<SessionRecord> SessionTable::Export(uint64_t now_ms) const {
  std::vector<SessionRecord> all;
  all.reserve(Live() + geometry_.shards);
  for (uint32_t i = 0; i < geometry_.shards; ++i) ExportShard(ShardAt(i), now_ms, &all);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.last_tick > b.last_tick; });
  return all;
}

bool SessionTable::Import(const SessionRecord& record, uint16_t peer, uint64_t now_ms) {
  const Fingerprint key = FingerprintOf(record);
  const uint32_t now = TickOf(now_ms);
  if (record.tag == 0 || !peers_.Active(peer)) return false;
  const uint32_t tick = std::clamp<uint32_t>(record.last_tick, 1, now);
  Shard shard = ShardOf(key);
  const ShardLock lock(shard, now, counters_->repaired);
  if (shard.Find(key) || shard.Full()) return false;
  const Value value = Value::Of(tick, record.extra >> 15 != 0, key.extra, peer, record.span());
  return shard.Insert(key, value, Shard::Age::kOldest) == Shard::Placed::kYes;
}

std::optional<SessionRecord> SessionTable::ReadRecord(const SessionKey& key) const {
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  const Slot slot = ShardOf(fingerprint).Find(fingerprint);
  if (!slot) return std::nullopt;
  return RecordOf(fingerprint.tag, slot.value);
}

// A tag that is the same before and after its value was read belongs to that value; see FindIn().
std::vector<SessionRecord> SessionTable::UsedSince(uint32_t tick, uint32_t budget,
                                                   SlotWalk* walk) const {
  std::vector<SessionRecord> used;
  const Shard shard = ShardAt(walk->shard);
  const uint32_t end = std::min(shard.SlotCount(), walk->slot + budget);
  for (; walk->slot < end; ++walk->slot) {
    const uint64_t tag = shard.TagAt(walk->slot);
    const Slot slot = shard.At(walk->slot);
    if (!slot || slot.value.tick() < tick || shard.TagAt(walk->slot) != tag) continue;
    used.push_back(RecordOf(tag, slot.value));
  }
  if (walk->slot < shard.SlotCount()) return used;
  walk->slot = 0;
  walk->more = ++walk->shard < geometry_.shards;
  return used;
}

std::vector<SessionRecord> SessionTable::IdleFor(uint64_t idle_ms, uint64_t now_ms, uint32_t budget,
                                                 SlotWalk* walk) const {
  const PolicyView policy = View();
  const uint32_t now = TickOf(now_ms);
  std::vector<SessionRecord> idle;
  for (const SessionRecord& record : UsedSince(1, budget, walk)) {
    const bool rests = uint64_t{PolicyView::Age(record.last_tick, now)} * kTickMs >= idle_ms;
    if (rests && !policy.Expired(record.last_tick, now)) idle.push_back(record);
  }
  return idle;
}

// One word says when it was last used and where it lives: whoever uses it in between wins.
bool SessionTable::MoveIdle(const SessionRecord& record, uint16_t to, uint64_t now_ms) {
  const Fingerprint key = FingerprintOf(record);
  const Value expected = ValueOf(record);
  if (!peers_.Active(to)) return false;
  Shard shard = ShardOf(key);
  const ShardLock lock(shard, TickOf(now_ms), counters_->repaired);
  const Slot slot = shard.Find(key);
  if (!slot || slot.value != expected) return false;
  if (!shard.Rebind(slot, expected.BoundTo(to))) return false;
  Count(counters_->moved);
  return true;
}

std::optional<uint16_t> SessionTable::PeerByNews(const SessionRecord& here,
                                                 const SessionRecord& news, uint16_t peer,
                                                 uint32_t moved_tick, uint64_t now_ms) const {
  if (here.last_tick >= news.last_tick) return std::nullopt;
  if (View().Expired(here.last_tick, TickOf(now_ms))) return peer;
  const bool as_moved = here.last_tick <= moved_tick && peers_.Active(peer);
  return as_moved ? peer : here.peer();
}

bool SessionTable::Adopt(const SessionRecord& record, uint16_t peer, uint32_t moved_tick,
                         uint64_t now_ms) {
  const PolicyView policy = View();
  const uint32_t now = TickOf(now_ms);
  const Fingerprint key = FingerprintOf(record);
  if (policy.Expired(record.last_tick, now)) return false;
  Shard shard = ShardOf(key);
  if (const Slot slot = shard.Find(key); slot && slot.value.tick() >= record.last_tick)
    return false;
  const ShardLock lock(shard, now, counters_->repaired);
  while (const Slot slot = shard.Find(key)) {
    const auto lives_at =
        PeerByNews(RecordOf(key.tag, slot.value), record, peer, moved_tick, now_ms);
    if (!lives_at) return false;
    const Value used = slot.value.UsedAt(record.last_tick);
    const Value news = Value::Of(record.last_tick, true, key.extra, *lives_at,
                                 std::max(used.span(), record.span()));
    if (shard.Rebind(slot, news)) return true;
  }
  const Value value =
      Value::Of(record.last_tick, record.extra >> 15 != 0, key.extra, peer, record.span());
  return InsertLocked(shard, key, value, policy, now) == LearnResult::kCreated;
}

void SessionTable::AdoptKey(const SipKey& key) {
  header_->key = key;
  key_ = key;
  Crc32Stream crc;
  crc.Add({reinterpret_cast<const char*>(&header_->geometry), sizeof header_->geometry});
  crc.Add({reinterpret_cast<const char*>(&header_->key), sizeof header_->key});
  header_->crc = crc.value();
}

std::string SessionTable::Check(uint64_t now_ms) {
  const uint32_t now = TickOf(now_ms);
  for (uint32_t i = 0; i < geometry_.shards; ++i) {
    Shard shard = ShardAt(i);
    const ShardLock lock(shard, now, counters_->repaired);
    std::string wrong = shard.Check(now);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace limpet::shm
