#include "worker/store/store_zone.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"

namespace limpet::worker {

// One hash tag for all keys of a zone: in a Redis Cluster they are on one shard.
std::string StoreZone::KeyName(const StoreKey& key) const {
  return fmt::format("{}{{{}}}:{}", conf().prefix, env_.zone.name, Encode(key));
}

std::string StoreZone::StreamName() const {
  return fmt::format("{}{{{}}}:changes", conf().prefix, env_.zone.name);
}

uint64_t StoreZone::RenewalMs() const {
  return env_.zone.norefresh ? 0 : Ms(env_.zone.timeout) / 8;
}

// Those moments are not the same for all sessions.
bool StoreZone::RenewalIsDue(const shm::SessionKey& key, uint64_t idle_ms) const {
  const uint64_t period = RenewalMs();
  if (period == 0) return false;
  const uint64_t now = BootMs() + StoreKey::Of(key).tag % period;
  return now / period != (now - std::min(now, idle_ms)) / period;
}

uint64_t StoreZone::LifeMs() const { return Ms(env_.zone.timeout) + RenewalMs(); }

// How old the newest change of the stream was when it came.
void StoreZone::NoteLag(const shm::StoreVersion& version) {
  const auto lag = static_cast<int64_t>(WallMs()) - static_cast<int64_t>(version.wall_ms());
  figures().lag_ms.store(std::max<int64_t>(lag, 0), std::memory_order_relaxed);
}

bool StoreZone::Take(const StoreKey& key, std::string_view bytes, uint64_t age_ms, Source source) {
  const auto record = DecodeRecord(bytes);
  if (!record || !Credible(record->version, WallMs())) {
    figures().invalid.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  state().Observe(record->version);
  const uint64_t now = BootMs();
  const shm::SessionKey session = key.ToSessionKey();
  const shm::Found found = sessions().Peek(session, now);
  const uint16_t peer = sessions().peers().Find(record->server);
  const bool is_ours = peer != shm::kNoPeer && sessions().peers().Active(peer);
  const bool is_stream = source == Source::kStream;
  if (is_stream) NoteLag(record->version);
  const bool lives = record->kind == StoreRecord::Kind::kLives;
  const bool is_here =  // where its server has gone it is as good as unknown
      found.result == shm::LookupResult::kHit && sessions().peers().Active(found.peer);
  const Presence here = !is_here                      ? Presence::kNone
                        : lives && found.peer == peer ? Presence::kSame
                                                      : Presence::kOther;
  const Apply apply = Judge(
      *record, {.has_newer = state().HasNewer(key.tag, record->version),
                .here = here,
                .is_echo = source != Source::kAnswer && record->version.IsOf(state().machine()),
                .knows_server = is_ours});
  // What changes nothing is noted, too: an older answer may come after it, on another connection.
  state().Note(key.tag, record->version);
  switch (apply) {
    case Apply::kIgnore:
      return here == Presence::kSame;
    case Apply::kForget:
      sessions().Forget(session, now);
      break;
    case Apply::kLearn:
      sessions().LearnUsed(session, peer, now - std::min(now, age_ms), now);
      break;
  }
  if (is_stream) figures().applied.fetch_add(1, std::memory_order_relaxed);
  return apply == Apply::kLearn;
}

void StoreZone::Say(LogLevel level, const std::string& text, bool is_alert) const {
  LIMPET_LOG(env_.log, level, "{}", text);
  if (is_alert) env_.alerts.Add(level, text);
}

}  // namespace limpet::worker
