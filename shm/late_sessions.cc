#include "shm/late_sessions.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shm/snapshot.h"

namespace limpet::shm {
namespace {

constexpr uint32_t kSlotsPerStep = 2048;  // some microseconds where there is no news

// The peer of that name there, also one that has gone; kNoPeer: nothing is known of it.
uint16_t PeerIn(const SessionTable& to, const SessionTable& from, uint16_t peer) {
  return to.peers().Find(from.PeerName(peer));
}

}  // namespace

void LateSessions::Add(Zone zone, const SessionTable& table, uint64_t moved_ms, Key key,
                       std::string name) {
  Earlier earlier{std::move(zone), table, moved_ms == 0 ? 0 : TickOf(moved_ms), {}};
  earlier.rekeyed = key != Key::kSame;
  earlier.shared = key == Key::kEarlierOfStore;
  earlier.name = std::move(name);
  earlier.moved_ms = moved_ms;
  earlier.walk.more = !earlier.rekeyed;
  earlier_.insert(earlier_.begin(), std::move(earlier));
}

bool LateSessions::HasNamed(const std::string& name) const {
  return !name.empty() && std::ranges::any_of(earlier_, [&name](const Earlier& one) {
    return one.name == name && one.zone.IsNamed(name);
  });
}

bool LateSessions::Fetch(const SessionKey& key, SessionTable* to, uint64_t now_ms) const {
  bool brought = false;
  for (const Earlier& from : earlier_) {
    if (from.rekeyed || from.table.Superseded()) continue;
    const auto news = from.table.ReadRecord(key);
    brought = (news && Bring(from, *news, to, now_ms)) || brought;
  }
  return brought;
}

Found LateSessions::Peek(const SessionKey& key, const SessionTable& to, uint64_t now_ms) const {
  for (const Earlier& from : earlier_) {
    if (from.rekeyed || from.table.Superseded()) continue;
    const auto news = from.table.ReadRecord(key);
    if (!news || news->last_tick < from.moved_tick) continue;
    const uint16_t peer = PeerIn(to, from.table, news->peer());
    if (peer == kNoPeer) continue;
    const auto here = to.ReadRecord(key);
    const auto lives_at =
        here ? to.PeerByNews(*here, *news, peer, from.moved_tick, now_ms) : std::optional(peer);
    if (lives_at) return to.Judge(news->last_tick, *lives_at, now_ms);
  }
  return {};
}

void LateSessions::Forget(const SessionKey& key, uint64_t now_ms) const {
  for (const Earlier& from : earlier_) {
    if (from.rekeyed) continue;
    SessionTable table = from.table;
    table.Forget(key, now_ms);
  }
}

Found LateSessions::FindByIdentifier(std::string_view id, const SessionTable& to,
                                     uint64_t now_ms) const {
  for (const Earlier& from : earlier_) {
    if (!from.rekeyed || from.table.Superseded()) continue;
    const auto session = from.table.ReadRecord(from.table.KeyOf(id));
    if (!session) continue;
    return to.Judge(session->last_tick, PeerIn(to, from.table, session->peer()), now_ms);
  }
  return {};
}

void LateSessions::ForgetByIdentifier(std::string_view id, uint64_t now_ms) const {
  for (const Earlier& from : earlier_) {
    if (!from.rekeyed) continue;
    SessionTable table = from.table;
    table.Forget(table.KeyOf(id), now_ms);
  }
}

// A server that moved sessions go to may be unknown to processes of the old configuration: what
// they have stays theirs.
bool LateSessions::WalkPeer(uint16_t peer, uint16_t target, SessionTable* to, uint32_t budget,
                            uint64_t now_ms, PeerWalk* walk,
                            std::vector<SessionRecord>* told) const {
  while (walk->earlier < earlier_.size()) {
    const Earlier& from = earlier_[walk->earlier];
    SessionTable table = from.table;
    const uint16_t there = table.peers().Find(to->PeerName(peer));
    std::vector<SessionRecord> changed;
    PeerWalk piece{.shard = walk->shard, .bucket = walk->bucket};
    if (there == kNoPeer) {
      piece.more = false;
    } else if (target == kNoPeer) {
      table.ForgetPeer(there, budget, now_ms, &piece, &changed);
    } else {
      const std::string name = to->PeerName(target);
      const uint16_t target_there = from.rekeyed && !table.of_earlier_layout()
                                        ? table.PeerIndex(name)
                                        : table.peers().Find(name);
      table.MovePeer(there, target_there, budget, now_ms, &piece, &changed);
    }
    for (const SessionRecord& news : changed) {
      if (from.rekeyed || news.last_tick < from.moved_tick) continue;
      (void)to->Adopt(news, peer, from.moved_tick, now_ms);
    }
    if (from.rekeyed) walk->changed += piece.changed;
    if (from.shared && told != nullptr) {
      for (const SessionRecord& gone : changed)
        told->push_back({.tag = gone.tag, .extra = gone.extra, .place = target});
    }
    walk->shard = piece.more ? piece.shard : 0;
    walk->bucket = piece.more ? piece.bucket : 0;
    if (piece.more) return true;
    ++walk->earlier;
  }
  return false;
}

// Once the last of their sessions has ended.
bool LateSessions::DropRekeyed(uint64_t now_ms) {
  const auto is_over = [now_ms](const Earlier& from) {
    const auto timeout = static_cast<uint64_t>(from.table.Policy().timeout.count());
    return from.rekeyed && timeout > 0 && now_ms > from.moved_ms + timeout && from.zone.Alone();
  };
  for (size_t i = 0; i < earlier_.size(); ++i) {
    if (!is_over(earlier_[i])) continue;
    earlier_[i].table.Supersede();
    if (!earlier_[i].name.empty()) earlier_[i].zone.RemoveIfAlone(earlier_[i].name);
    earlier_.erase(earlier_.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

Status LateSessions::SaveRekeyed(const std::string& path, uint64_t now_ms) const {
  for (const Earlier& from : earlier_) {
    if (!from.rekeyed || from.table.Superseded()) continue;
    SessionTable table = from.table;
    SnapshotTime now = SnapshotTime::Now();
    now.boot_ms = now_ms;
    const Result<bool> saved = SaveUnlessEmpty(table, path, now);
    if (!saved) return saved.error();
    if (*saved) return {};
    break;  // all are over
  }
  const bool gone = ::unlink(path.c_str()) == 0 || errno == ENOENT;
  return gone ? Status() : ErrnoError("unlink() \"" + path + "\" failed", errno);
}

void LateSessions::Rename(const std::string& from, const std::string& to) {
  for (Earlier& one : earlier_) {
    if (one.name == from) one.name = to;
  }
}

void LateSessions::RemoveNames() {
  for (Earlier& one : earlier_) {
    if (!one.name.empty()) one.zone.RemoveIfAlone(one.name);
  }
}

bool LateSessions::Hold() const {
  bool held = true;
  for (const Earlier& one : earlier_) held &= one.zone.Hold();
  return held;
}

bool LateSessions::Bring(const Earlier& from, const SessionRecord& news, SessionTable* to,
                         uint64_t now_ms) {
  if (news.last_tick < from.moved_tick) return false;
  const uint16_t peer = PeerIn(*to, from.table, news.peer());
  return peer != kNoPeer && to->Adopt(news, peer, from.moved_tick, now_ms);
}

bool LateSessions::Step(SessionTable* to, uint64_t now_ms) {
  if (DropRekeyed(now_ms)) return true;
  for (size_t i = 0; i < earlier_.size(); ++i) {
    Earlier& from = earlier_[i];
    if (!from.walk.more) continue;  // of this round
    if (from.walk.shard == 0 && from.walk.slot == 0) {
      from.last = from.zone.Alone();
      from.walk_tick = TickOf(now_ms);
    }
    SlotWalk next = from.walk;
    for (const SessionRecord& news : from.table.UsedSince(from.moved_tick, kSlotsPerStep, &next)) {
      Bring(from, news, to, now_ms);  // may give up here, and this piece is walked once more
    }
    from.walk = next;
    if (!from.walk.more && from.moved_tick == 0) from.moved_tick = from.walk_tick;
    if (!from.walk.more && from.last) {
      from.table.Supersede();
      earlier_.erase(earlier_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return true;
  }
  for (Earlier& from : earlier_) from.walk = {.more = !from.rekeyed};
  return false;
}

void LateSessions::BringAll(SessionTable* to, uint64_t now_ms) {
  for (Earlier& from : earlier_) from.walk = {.more = !from.rekeyed};
  while (Step(to, now_ms)) {
  }
}

}  // namespace limpet::shm
