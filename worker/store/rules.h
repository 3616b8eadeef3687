// What becomes of a change that the store tells a machine of: the one rule by which zones follow
// it. Pure.
#pragma once

#include <cstdint>

#include "worker/store/record.h"

namespace limpet::worker {

enum class Presence : uint8_t {
  kNone,  // the zone does not have the session
  kSame,  // it has it at the record's server
  kOther
};

struct ZoneFacts {
  bool has_newer = false;  // this machine has made, or heard of, a newer change of the session;
                           // or it knows that the session has lived here since
  Presence here = Presence::kNone;
  bool is_echo = false;  // of a change of this machine, which it has made in its zone before
  bool knows_server = false;
  bool is_repeated = false;  // it was applied before, as far as this machine can tell
  bool is_over = false;      // it is older than a session gets that is not used
  bool norefresh = false;    // used or not
};

enum class Apply : uint8_t { kIgnore, kLearn, kForget };

// A zone that has given up a session of its own does not take it back from its own echo. A session
// that has gone to a server that this machine does not know is not at its former one any more. What
// is not taken up here, as it may have ended, is asked for when it is used.
constexpr Apply Judge(const StoreRecord& record, const ZoneFacts& zone) {
  if (zone.has_newer || zone.here == Presence::kSame) return Apply::kIgnore;
  const bool lives = record.kind == StoreRecord::Kind::kLives;
  if (zone.here == Presence::kNone && (zone.is_echo || zone.is_repeated)) return Apply::kIgnore;
  if (lives && zone.is_over && (zone.here == Presence::kNone || zone.norefresh))
    return Apply::kIgnore;
  const bool lives_here = lives && zone.knows_server;
  if (lives_here) return Apply::kLearn;
  return zone.here == Presence::kNone ? Apply::kIgnore : Apply::kForget;
}

// The version of a session that a machine writes anew, because the store may have lost it: of what
// the machine knows. That is the version it has noted; where it remembers none, the time until
// which the session was surely as it is here. Never older than the note: the machine would not
// believe what wins over its offer. Yet no change: the note may be of one that was made after the
// session was read in the zone.
constexpr shm::StoreVersion OfferedAs(uint64_t noted_time, uint64_t known_at_wall_ms,
                                      uint16_t machine) {
  const auto offers = static_cast<uint16_t>(machine & ~shm::StoreVersion::kChange);
  if (noted_time != 0) return {noted_time, offers};
  return {known_at_wall_ms << shm::StoreVersion::kCountBits, offers};
}

constexpr bool IsBefore(const shm::StoreVersion& version, uint64_t wall_ms) {
  return version.time < wall_ms << shm::StoreVersion::kCountBits;
}

// Until when a session that the zone has, and that was last used then, surely lived where it does
// now, as far as that is older than a change that is read late (wall milliseconds; 0: it cannot be
// told). `as_of_ms`: until when this machine had heard of all changes, if `heard_all`; else it has
// begun then, with sessions from before.
constexpr uint64_t KnownUntil(uint64_t used_ms, uint64_t as_of_ms, bool heard_all) {
  if (used_ms < as_of_ms) return used_ms;
  return heard_all ? as_of_ms : 0;
}

// Whether a session that was last used so long ago may have been changed elsewhere while nothing
// was heard: it was last used before the moment up to which that holds. 0: there is no such moment.
// One that was used in an earlier boot was used before all of this one.
constexpr bool UsedBefore(uint64_t before_ms, uint64_t idle_ms, uint64_t now_ms) {
  if (before_ms == 0) return false;
  return idle_ms >= now_ms || now_ms - idle_ms < before_ms;
}

}  // namespace limpet::worker
