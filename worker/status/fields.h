// The counters of session zones and of connections as status pages name them.
#pragma once

#include <array>
#include <string_view>

#include "shm/counters.h"
#include "shm/session_counters.h"

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
    {"collected", &shm::SessionCounters::collected, "sessions removed because their time was over"},
    {"repaired", &shm::SessionCounters::repaired, "shards repaired after a process had died"},
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
