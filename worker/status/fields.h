// The counters of session zones, of their stores and of connections as status pages name them.
#pragma once

#include <array>
#include <string_view>

#include "shm/counters.h"
#include "shm/session_counters.h"
#include "shm/store_state.h"

namespace limpet::worker {

struct SessionField {
  std::string_view name;
  uint64_t shm::SessionCounters::*value;
  std::string_view help;
};

inline constexpr std::array kSessionFields = std::to_array<SessionField>({
    {"lookups", &shm::SessionCounters::lookups, "sessions looked up"},
    {"hits", &shm::SessionCounters::hits, "lookups that found a session"},
    {"misses", &shm::SessionCounters::misses, "lookups that found none"},
    {"expired", &shm::SessionCounters::expired, "lookups that found one whose time was over"},
    {"used_total", &shm::SessionCounters::used, "requests that went where their session lives"},
    {"created", &shm::SessionCounters::created, "sessions learned anew"},
    {"refreshed", &shm::SessionCounters::refreshed, "sessions learned again"},
    {"rotated", &shm::SessionCounters::rotated, "sessions given up because the zone was full"},
    {"refused", &shm::SessionCounters::refused, "sessions not learned because the zone was full"},
    {"too_long", &shm::SessionCounters::too_long, "keys that were too long to be learned"},
    {"over_quota", &shm::SessionCounters::over_quota,
     "sessions not learned because their client has as many as quota allows"},
    {"over_rate", &shm::SessionCounters::over_rate,
     "sessions not learned because their client begins them faster than new_rate allows"},
    {"collected", &shm::SessionCounters::collected, "sessions removed because their time was over"},
    {"moved", &shm::SessionCounters::moved,
     "idle sessions moved to make loads even, or off a server that drains"},
    {"repaired", &shm::SessionCounters::repaired, "shards repaired after a process had died"},
});

struct StoreField {
  std::string_view name;
  std::atomic<uint64_t> shm::StoreFigures::*value;
  std::string_view metric;  // after limpet_store_
  std::string_view result;  // its label; "": it has none
  std::string_view help;    // of the metric, whose rows stand together: in the first of them
};

inline constexpr std::array kStoreFields = std::to_array<StoreField>({
    {"asked", &shm::StoreFigures::asked, "asked", "", "questions sent to the store"},
    {"found", &shm::StoreFigures::found, "questions", "found",
     "sessions that the zone did not know, by what came of asking the store"},
    {"unknown", &shm::StoreFigures::unknown, "questions", "unknown", ""},
    {"timed_out", &shm::StoreFigures::timed_out, "questions", "timed_out", ""},
    {"refused", &shm::StoreFigures::refused, "questions", "refused", ""},
    {"skipped", &shm::StoreFigures::skipped, "questions", "skipped", ""},
    {"written", &shm::StoreFigures::written, "changes", "written",
     "changes of sessions, by what became of them"},
    {"stale", &shm::StoreFigures::stale, "changes", "stale", ""},
    {"dropped", &shm::StoreFigures::dropped, "changes", "dropped", ""},
    {"renewed", &shm::StoreFigures::renewed, "renewed", "", "deadlines renewed in the store"},
    {"applied", &shm::StoreFigures::applied, "applied", "",
     "changes of other machines that came into the zone"},
    {"invalid", &shm::StoreFigures::invalid, "invalid", "",
     "records and replies of the store that could not be read"},
    {"losses", &shm::StoreFigures::losses, "losses", "", "times the store was lost"},
});

struct ConnectionField {
  std::string_view name;
  uint64_t (*sum)(const shm::Counters&);
  bool grows;  // else it is a gauge
  std::string_view help;
};

template <auto Field>
uint64_t SumOf(const shm::Counters& counters) {
  return counters.Sum(Field);
}

inline constexpr std::array kConnectionFields = std::to_array<ConnectionField>({
    {"accepted", SumOf<&shm::WorkerCounters::accepted>, true, "connections accepted"},
    {"handled", SumOf<&shm::WorkerCounters::handled>, true, "connections taken care of"},
    {"requests", SumOf<&shm::WorkerCounters::requests>, true, "requests of clients"},
    {"active", SumOf<&shm::WorkerCounters::active>, false, "connections open"},
    {"reading", SumOf<&shm::WorkerCounters::reading>, false, "connections sending a request head"},
    {"writing", SumOf<&shm::WorkerCounters::writing>, false, "connections being answered"},
    {"waiting", SumOf<&shm::WorkerCounters::waiting>, false, "connections idle between requests"},
});

}  // namespace limpet::worker
