// What a binary leaves to the one that replaces it (SIGUSR2) beside its sockets and what it knows
// of servers: the zones that are files in memory without a name, where slots of its workers begin,
// and the sums of its counters. While both run, they use the same zones; sums are a copy.
//
// Lines of the notes (see handover.h), with tabs between the fields:
//   zone      DIRECTIVE NAME SIZE LAYOUT DESCRIPTOR KEY      NAME and KEY in hexadecimal
//   sessions  NAME HOME SNAPSHOT      in hexadecimal: of a session zone, whose memory has a name
//   sessions                          so it is said of all that there are
//   slots     FIRST                   of the new binary
//   counters  ACCEPTED HANDLED REQUESTS
//   traffic   NAME NUMBER…            of requests of an upstream, NAME in hexadecimal; "": others
//   incidents NUMBER…                 see IncidentSums
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "master/incident_sums.h"
#include "master/traffic_places.h"
#include "shm/zone.h"

namespace limpet::master {

// What must be equal so that the new binary goes on with a zone.
struct ZoneLabel {
  std::string_view directive;
  std::string_view name;
  size_t size = 0;      // bytes
  uint64_t layout = 0;  // of the table that is in it
  std::string_view key;
};

// A session zone of the old binary; see SessionStore.
struct LeftSessions {
  std::string zone;
  std::string home;
  std::string snapshot_path;
};

struct ConnectionSums {
  uint64_t accepted = 0;
  uint64_t handled = 0;
  uint64_t requests = 0;
};

// The old binary's side: lines, and the descriptors that they name.
class Bequest {
 public:
  void Add(const ZoneLabel& zone, int fd);
  void AddSessions(const std::vector<LeftSessions>& zones);
  void AddFirstSlot(int32_t first);
  void AddCounters(const ConnectionSums& sums);
  void AddIncidents(const IncidentSums& sums);
  void AddTraffic(const std::vector<NamedTraffic>& traffic);

  const std::string& lines() const { return lines_; }
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  std::string lines_;
  std::vector<int> descriptors_;
};

// The new binary's. Owns the descriptors that the notes name until they are taken: those that are
// not are closed with it. From the beginning they are closed on exec.
class Inheritance {
 public:
  // Descriptors of anything but files in memory are left alone: they are somebody else's.
  explicit Inheritance(std::string_view notes);

  // The zone, mapped; or why it begins anew. Can be asked once for each.
  Result<shm::Zone> TakeZone(const ZoneLabel& wanted);

  // All session zones that the old binary has; nothing: it has not said so.
  const std::optional<std::vector<LeftSessions>>& sessions() const { return sessions_; }
  int32_t first_slot() const { return first_slot_; }
  const ConnectionSums& counters() const { return counters_; }
  const IncidentSums& incidents() const { return incidents_; }
  const std::vector<NamedTraffic>& traffic() const { return traffic_; }

 private:
  using Fields = std::vector<std::string_view>;
  struct Left {
    std::string directive, name, key;  // the last two in hexadecimal
    uint64_t size = 0;
    uint64_t layout = 0;
    UniqueFd fd;
  };
  void ReadZone(const Fields& fields);
  void ReadSessions(const Fields& fields);
  void ReadCounters(const Fields& fields);
  void ReadTraffic(const Fields& fields);
  UniqueFd Own(uint64_t number) const;

  std::vector<Left> zones_;
  std::optional<std::vector<LeftSessions>> sessions_;
  int32_t first_slot_ = 0;
  ConnectionSums counters_;
  IncidentSums incidents_;
  std::vector<NamedTraffic> traffic_;
};

}  // namespace limpet::master
