#include "worker/store/store_zone.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "worker/store/resp.h"

namespace limpet::worker {

// One hash tag for all keys of a zone: in a Redis Cluster they are on one shard.
std::string StoreZone::KeyName(const StoreKey& key) const {
  return fmt::format("{}{{{}}}:{}", conf().prefix, env_.zone.name, Encode(key));
}

std::string StoreZone::StreamName() const {
  return fmt::format("{}{{{}}}:changes", conf().prefix, env_.zone.name);
}

std::string StoreZone::Probe() const { return RespCommand({"PTTL", StreamName()}); }

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

uint64_t StoreZone::UnsureBeforeWallMs() const {
  const uint64_t moment = state().unsure_before_ms.load(std::memory_order_relaxed);
  return moment == 0 ? 0 : WallMsOfBoot(moment);
}

uint64_t StoreZone::KnownUntil(uint64_t idle_ms, bool heard_all) const {
  return worker::KnownUntil(LastUseWallMs(idle_ms), UnsureBeforeWallMs(), heard_all);
}

// Of one that a clock ahead of ours has dated: none. With what the table rounds: what was learned
// of a change has not been used after it.
uint64_t StoreZone::AgeOf(const shm::StoreVersion& version, const Heard& heard) const {
  if (heard.source == Source::kAnswer || heard.source == Source::kOwn) return heard.age_ms;
  const uint64_t now = WallMs();
  return now - std::min(now, version.wall_ms()) + 2 * shm::kTickMs;
}

bool StoreZone::IsOver(uint64_t age_ms) const {
  const uint64_t timeout = Ms(env_.zone.timeout);
  return timeout != 0 && age_ms >= timeout;
}

bool StoreZone::Take(const StoreKey& key, std::string_view bytes, const Heard& heard) {
  const uint64_t wall_ms = WallMs();
  const auto record = DecodeRecord(bytes);
  if (!record || !Credible(record->version, wall_ms)) {
    figures().invalid.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  state().Observe(record->version);
  const uint64_t now = BootMs();
  const shm::SessionKey session = key.ToSessionKey();
  const shm::Found found = sessions().Peek(session, now);
  const uint16_t peer = sessions().peers().Find(record->server);
  const bool is_ours = peer != shm::kNoPeer && sessions().peers().Active(peer);
  const bool is_repeated = heard.source == Source::kRepeat;
  const bool is_stream = is_repeated || heard.source == Source::kStream;
  if (heard.source == Source::kStream && !heard.was_there) NoteLag(record->version);
  const bool lives = record->kind == StoreRecord::Kind::kLives;
  const bool is_found = found.result == shm::LookupResult::kHit;
  // Where its server has gone it waits for another: as good as unknown, but for its end and for a
  // move elsewhere.
  const bool is_here = is_found && sessions().peers().Active(found.peer);
  const Presence here = is_found && lives && found.peer == peer        ? Presence::kSame
                        : is_here || (is_found && !(lives && is_ours)) ? Presence::kOther
                                                                       : Presence::kNone;
  const bool has_lived_here_since = lives && is_here && IsBefore(record->version, heard.known_ms);
  const uint64_t age = AgeOf(record->version, heard);
  const Apply apply = Judge(
      *record,
      {.has_newer = has_lived_here_since || state().HasNewer(key.tag, record->version, wall_ms),
       .here = here,
       .is_echo =
           (is_stream || heard.source == Source::kOwn) && record->version.IsOf(state().machine()),
       .knows_server = is_ours,
       .is_repeated = is_repeated,
       .is_over = is_stream && IsOver(age),
       .norefresh = env_.zone.norefresh});
  // What changes nothing is noted, too: an older answer may come after it, on another connection.
  // But nothing that is older than what the zone has, which may not be noted any more.
  const bool teaches_nothing = heard.of_former && lives && !is_ours;
  if (apply != Apply::kIgnore || (!is_repeated && !has_lived_here_since && !teaches_nothing))
    state().Note(key.tag, record->version, wall_ms, !lives);
  switch (apply) {
    case Apply::kIgnore:
      return here == Presence::kSame && is_ours;
    case Apply::kForget:
      sessions().Forget(session, now);
      break;
    case Apply::kLearn: {
      const auto idle = static_cast<uint64_t>(found.idle.count());
      sessions().LearnUsed(session, peer, now - (is_found ? std::min(age, idle) : age), now);
      break;
    }
  }
  if (is_stream) figures().applied.fetch_add(1, std::memory_order_relaxed);
  return apply == Apply::kLearn;
}

void StoreZone::Say(LogLevel level, const std::string& text, bool is_alert) const {
  LIMPET_LOG(env_.log, level, "{}", text);
  if (is_alert) env_.alerts.Add(level, text);
}

}  // namespace limpet::worker
