#include "shm/session_table.h"

#include <algorithm>
#include <cstring>

#include "shm/crc32.h"
#include "shm/late_sessions.h"

namespace limpet::shm {
namespace {

constexpr char kMagic[8] = {'l', 'i', 'm', 'p', 'e', 't', 'S', 'T'};

// A use before this boot has wrapped around zero.
uint32_t TickOfUse(uint64_t used_ms, uint64_t now_ms) {
  if (used_ms <= now_ms) return TickOf(used_ms);
  const uint32_t now = TickOf(now_ms);
  return now - static_cast<uint32_t>(std::min<uint64_t>((now_ms - used_ms) / kTickMs, now - 1));
}

uint32_t HeaderCrc(const ZoneHeader& header) {
  Crc32Stream crc;
  crc.Add({reinterpret_cast<const char*>(&header.geometry), sizeof header.geometry});
  crc.Add({reinterpret_cast<const char*>(&header.key), sizeof header.key});
  return crc.value();
}

}  // namespace

SessionTable::SessionTable(std::byte* memory, const Geometry& geometry)
    : memory_(memory), header_(reinterpret_cast<ZoneHeader*>(memory)), geometry_(geometry) {
  key_ = header_->key;
  AttachWorker(0);
  auto* entries = reinterpret_cast<PeerEntry*>(memory + geometry.peers_offset);
  peers_ = PeerDirectory(header_, entries, geometry.max_peers);
}

SessionTable SessionTable::Format(std::byte* memory, size_t bytes, const SipKey& key) {
  std::memset(memory, 0, bytes);
  auto* header = reinterpret_cast<ZoneHeader*>(memory);
  header->geometry = Geometry::For(bytes);
  header->key = key;
  header->version = kLayoutVersion;
  header->crc = HeaderCrc(*header);
  header->peers_lock.Init();
  SessionTable table(memory, header->geometry);
  table.SetPolicy({});
  for (uint32_t i = 0; i < table.geometry_.shards; ++i) {
    Shard shard = table.ShardAt(i);
    shard.InitLock();
    shard.Requeue();
  }
  std::memcpy(header->magic, kMagic, sizeof kMagic);  // last: before it, this is no table
  return table;
}

Result<SessionTable> SessionTable::Attach(std::byte* memory, size_t bytes) {
  const auto* header = reinterpret_cast<const ZoneHeader*>(memory);
  if (bytes < sizeof *header || std::memcmp(header->magic, kMagic, sizeof kMagic) != 0) {
    return InvalidArgument("it is not a session table");
  }
  if (header->version != kLayoutVersion && header->version != kEarlierLayout)
    return InvalidArgument("it has another layout version");
  if (header->crc != HeaderCrc(*header)) return InvalidArgument("its header is damaged");
  if (header->geometry != Geometry::For(bytes)) return InvalidArgument("it has another size");
  return SessionTable(memory, header->geometry);
}

void SessionTable::AttachWorker(int slot) {
  auto* lines = reinterpret_cast<SessionCounterLine*>(memory_ + sizeof(ZoneHeader));
  counters_ = &lines[static_cast<uint32_t>(slot) % geometry_.counter_lines];
}

void SessionTable::SetPolicy(const SessionPolicy& policy) {
  const auto timeout_ms = static_cast<uint64_t>(policy.timeout.count());
  StoreRelaxed(header_->timeout_ms, timeout_ms);
  StoreRelaxed(header_->policy,
               PolicyView::For(timeout_ms, policy.norefresh, policy.rotate).Pack());
}

SessionPolicy SessionTable::Policy() const {
  const PolicyView view = View();
  return {std::chrono::milliseconds(LoadRelaxed(header_->timeout_ms)), view.norefresh, view.rotate};
}

void SessionTable::SetFillLimits(const FillLimits& limits) {
  const auto thousandths = [](double share) {
    return static_cast<uint32_t>(std::clamp(share, 0.0, 1.0) * 1000 + 0.5);
  };
  StoreRelaxed(header_->fill_limits, thousandths(limits.minor) | thousandths(limits.major) << 10 |
                                         thousandths(limits.crit) << 20);
}

FillLimits SessionTable::GetFillLimits() const {
  const uint32_t packed = LoadRelaxed(header_->fill_limits);
  const auto share = [packed](int shift) { return (packed >> shift & 0x3FF) / 1000.0; };
  return {share(0), share(10), share(20)};
}

Shard SessionTable::ShardAt(uint32_t index) const {
  return {memory_ + geometry_.shards_offset + uint64_t{index} * geometry_.shard_bytes, geometry_};
}

Shard SessionTable::ShardOf(const Fingerprint& key) const {
  return ShardAt(Shard::IndexOf(key.tag, geometry_.shards));
}

Found SessionTable::Judge(uint32_t last_tick, uint16_t peer, uint64_t now_ms) const {
  const uint32_t now = TickOf(now_ms);
  const std::chrono::milliseconds idle(PolicyView::Age(last_tick, now) * kTickMs);
  if (View().Expired(last_tick, now)) return {LookupResult::kExpired, kNoPeer, idle};
  return {LookupResult::kHit, peer, idle};
}

Found SessionTable::Peek(const SessionKey& key, uint64_t now_ms) const {
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  const Slot slot = ShardOf(fingerprint).Find(fingerprint);
  Found found;
  if (slot) found = Judge(slot.value.tick(), slot.value.peer(), now_ms);
  return WithLate(key, now_ms, found);
}

Found SessionTable::Lookup(const SessionKey& key, uint64_t now_ms, bool touch) {
  if (touch) FetchLate(key, now_ms);
  Found found = LookUp(key, now_ms, touch);
  if (!touch) found = WithLate(key, now_ms, found);
  switch (found.result) {
    case LookupResult::kHit:
      Count(counters_->hits);
      break;
    case LookupResult::kMiss:
      Count(counters_->misses);
      break;
    case LookupResult::kExpired:
      Count(counters_->expired);
      break;
  }
  return found;
}

Found SessionTable::FindFormer(std::string_view session_id, uint64_t now_ms) const {
  return late_ != nullptr ? late_->FindByIdentifier(session_id, *this, now_ms) : Found{};
}

void SessionTable::ForgetFormer(std::string_view session_id, uint64_t now_ms) const {
  if (late_ != nullptr) late_->ForgetByIdentifier(session_id, now_ms);
}

// Before a use here, after which what the earlier tables have heard would be older.
void SessionTable::FetchLate(const SessionKey& key, uint64_t now_ms) {
  if (late_ != nullptr) (void)late_->Fetch(key, this, now_ms);
}

// Where nothing is to be written down nothing is brought over: that would take a lock.
Found SessionTable::WithLate(const SessionKey& key, uint64_t now_ms, const Found& here) const {
  if (late_ == nullptr) return here;
  const Found late = late_->Peek(key, *this, now_ms);
  return late.result == LookupResult::kHit ? late : here;
}

Found SessionTable::LookUp(const SessionKey& key, uint64_t now_ms, bool touch) {
  const PolicyView policy = View();
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  const Shard shard = ShardOf(fingerprint);
  const uint32_t now = TickOf(now_ms);
  while (const Slot slot = shard.Find(fingerprint)) {
    const std::chrono::milliseconds idle(PolicyView::Age(slot.value.tick(), now) * kTickMs);
    if (policy.Expired(slot.value.tick(), now)) return {LookupResult::kExpired, kNoPeer, idle};
    if (touch && !shard.Use(fingerprint, slot, policy, now))
      continue;  // moved or gone since: look again
    return {LookupResult::kHit, slot.value.peer(), idle};
  }
  return {};
}

bool SessionTable::Touch(const SessionKey& key, uint64_t now_ms) {
  FetchLate(key, now_ms);
  return UseLive(key, now_ms);
}

bool SessionTable::UseLive(const SessionKey& key, uint64_t now_ms) {
  const PolicyView policy = View();
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  const Shard shard = ShardOf(fingerprint);
  const uint32_t now = TickOf(now_ms);
  while (const Slot slot = shard.Find(fingerprint)) {
    if (policy.Expired(slot.value.tick(), now)) return false;
    if (shard.Use(fingerprint, slot, policy, now)) return true;
  }
  return false;
}

LearnResult SessionTable::Learn(const SessionKey& key, uint16_t peer, uint64_t now_ms) {
  return LearnUsed(key, peer, now_ms, now_ms);
}

LearnResult SessionTable::LearnUsed(const SessionKey& key, uint16_t peer, uint64_t used_ms,
                                    uint64_t now_ms) {
  const PolicyView policy = View();
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  const uint32_t now = TickOf(now_ms);
  const uint32_t used = TickOfUse(used_ms, now_ms);
  Shard shard = ShardOf(fingerprint);
  shard.Prefetch(fingerprint);
  const Slot slot = shard.Find(fingerprint);
  const bool lives = slot && !policy.Expired(slot.value.tick(), now);
  if (!TakesSessions(peer, lives && slot.value.peer() != peer)) {
    Count(counters_->refused);
    return LearnResult::kRefused;
  }
  // The common case needs no lock: learned again, as it was.
  if (lives && slot.value.peer() == peer && shard.Use(fingerprint, slot, policy, used)) {
    Count(counters_->refreshed);
    return LearnResult::kRefreshed;
  }
  const Value value = Value::Of(used, false, fingerprint.extra, peer);
  const ShardLock lock(shard, now, counters_->repaired);
  return LearnLocked(shard, fingerprint, value, policy, now);
}

// A server that is no longer configured may still begin sessions, at workers of the configuration
// before: they have their place like those that it had. One that lives elsewhere stays there.
bool SessionTable::TakesSessions(uint16_t peer, bool lives_elsewhere) const {
  return peers_.Active(peer) || (!lives_elsewhere && peers_.State(peer) == EntryState::kRetired);
}

LearnResult SessionTable::LearnLocked(Shard& shard, const Fingerprint& key, Value value,
                                      const PolicyView& policy, uint32_t now) {
  while (const Slot slot = shard.Find(key)) {
    bool done = false;
    const LearnResult result = Renew(shard, slot, value, policy, now, &done);
    if (done) return result;
  }
  return InsertLocked(shard, key, value, policy, now);
}

LearnResult SessionTable::InsertLocked(Shard& shard, const Fingerprint& key, Value value,
                                       const PolicyView& policy, uint32_t now) {
  if (!MakeRoom(shard, policy, now)) {
    Count(counters_->refused);
    return LearnResult::kRefused;
  }
  while (shard.Insert(key, value, Shard::Age::kNewest) == Shard::Placed::kFull) {
    if (!policy.rotate || !shard.GiveUpNear(key)) {
      Count(counters_->refused);
      return LearnResult::kRefused;
    }
    Count(counters_->rotated);
  }
  Count(counters_->created);
  return LearnResult::kCreated;
}

// A session that is there already: an expired one begins anew in its place, a live one is bound as
// said and used, at the tick of `value`.
LearnResult SessionTable::Renew(Shard& shard, const Slot& slot, Value value,
                                const PolicyView& policy, uint32_t now, bool* done) {
  if (policy.Expired(slot.value.tick(), now)) {
    *done = shard.Rebind(slot, value);
    if (*done) {
      shard.Renew(slot);
      Count(counters_->created);
    }
    return LearnResult::kCreated;
  }
  const bool same = slot.value.peer() == value.peer();
  const Value bound = slot.value.BoundTo(value.peer());
  *done = shard.Rebind(slot, policy.norefresh ? bound.UsedSinceCreationTo(value.tick())
                                              : bound.UsedAt(std::max(value.tick(), bound.tick())));
  if (*done) Count(counters_->refreshed);
  return same ? LearnResult::kRefreshed : LearnResult::kRebound;
}

bool SessionTable::MakeRoom(Shard& shard, const PolicyView& policy, uint32_t now) {
  if (!shard.Full()) {
    shard.Tidy();
    return true;
  }
  switch (shard.GiveUp(policy, now, !policy.rotate)) {
    case Shard::Gave::kNothing:
      return false;
    case Shard::Gave::kExpired:
      Count(counters_->collected);
      return true;
    case Shard::Gave::kLive:
      Count(counters_->rotated);
      return true;
  }
  return false;
}

bool SessionTable::Forget(const SessionKey& key, uint64_t now_ms) {
  bool forgotten = false;
  if (late_ != nullptr) {
    forgotten = late_->Peek(key, *this, now_ms).result == LookupResult::kHit;
    late_->Forget(key, now_ms);
  }
  const Fingerprint fingerprint = Fingerprint::Of(key.hash);
  Shard shard = ShardOf(fingerprint);
  if (!shard.Find(fingerprint)) return forgotten;
  const ShardLock lock(shard, TickOf(now_ms), counters_->repaired);
  while (const Slot slot = shard.Find(fingerprint)) {
    if (shard.Remove(slot)) return true;
  }
  return forgotten;
}

}  // namespace limpet::shm
