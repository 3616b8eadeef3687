// One successful load: configuration, sockets, logs and the zones it uses. A reload makes another
// one beside it; the old one lives as long as a worker or the master holds it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/glance.h"
#include "master/credentials.h"
#include "master/error_logs.h"
#include "master/listeners.h"
#include "master/paths.h"
#include "master/peer_memory.h"
#include "master/pid_file.h"
#include "master/shared_memory.h"
#include "worker/worker.h"

namespace limpet::master {

using Reporter = std::function<void(LogLevel, const std::string&)>;

// The configuration file with the command line's defaults applied; null if it is wrong. Warnings
// and errors go to `report`.
std::shared_ptr<const conf::Config> LoadConfig(const CommandLine& command_line, const Paths& paths,
                                               const Reporter& report);

// Where the running master is, whatever else is wrong with the configuration.
conf::Places FindPlaces(const CommandLine& command_line, const Paths& paths);

class Generation {
 public:
  struct Inputs {
    std::shared_ptr<const conf::Config> config;
    const Paths* paths;
    SharedMemory* shared;
    const PidFile* pid_file;  // whose place must be free: it says whose the zones are; may be null
    const Listeners* before;  // sockets that may be taken over
    Listeners::OnBusy on_busy = Listeners::OnBusy::kRetry;
    const Log* log;       // for what happens before this generation's own log is open
    uint64_t number = 1;  // counts successful loads
    const worker::TlsStore* tls_before = nullptr;  // of the serving generation
    const worker::GeoStore* geo_before = nullptr;
    const worker::TokenStore* tokens_before = nullptr;
  };
  // Nothing of the serving generation has changed when this fails.
  static Result<std::shared_ptr<Generation>> Open(const Inputs& inputs);

  // Logs, users, certificates and addresses that a test of the configuration should find wrong.
  static Status Check(const conf::Config& config, const Paths& paths, const Reporter& report);
  // The part of it that opens no log and no socket: users, certificates, keys and databases.
  static Status CheckFiles(const conf::Config& config);

  const conf::Config& config() const { return *config_; }
  const std::shared_ptr<const conf::Config>& shared_config() const { return config_; }
  const Log& log() const { return logs_[0]; }
  LogFiles& log_files() { return log_files_; }
  Listeners& listeners() { return listeners_; }
  const std::optional<Credentials>& credentials() const { return credentials_; }
  uint64_t number() const { return number_; }
  const SharedMemory::View& zones() const { return zones_; }
  const worker::TlsStore* tls() const { return tls_.get(); }
  const worker::GeoStore* geo() const { return geo_.get(); }
  const worker::TokenStore* tokens() const { return tokens_.get(); }

  worker::Environment EnvironmentFor(int number, int slot);
  void ReopenLogs();
  void Reclaim(SharedMemory& shared, const Log& log) { shared.Reclaim(*config_, zones_, log); }
  // To and from the binary that replaces this one, or that this one replaces; see peer_memory.h.
  std::string TellPeers() const { return master::TellPeers(*config_, zones_); }
  void RecallPeers(std::string_view told) { master::RecallPeers(told, *config_, zones_); }
  void FollowNames(SharedMemory& shared, uint64_t now_ms) {
    shared.FollowNames(*config_, zones_, now_ms);
  }
  std::optional<uint64_t> NextDeadline() const { return zones_.names_deadline; }
  SharedMemory::View TakeZones() { return std::move(zones_); }  // of one that serves no more

 private:
  Generation() = default;
  struct Before {
    const worker::TlsStore* tls = nullptr;
    const worker::GeoStore* geo = nullptr;
    const worker::TokenStore* tokens = nullptr;
  };
  Status OpenFiles(const Paths& paths, const Before& before, const Reporter& report);
  Status LoadFiles(const Before& before, const Reporter& report);
  Status AttachZones(SharedMemory& shared);

  std::shared_ptr<const conf::Config> config_;
  LogFiles log_files_;
  std::vector<Log> logs_;
  std::vector<UniqueFd> access_logs_;  // to http->access_log_files
  std::shared_ptr<const worker::TlsStore> tls_;
  std::shared_ptr<const worker::GeoStore> geo_;
  std::shared_ptr<const worker::TokenStore> tokens_;
  Listeners listeners_;
  std::optional<Credentials> credentials_;
  SharedMemory::View zones_;
  shm::Counters* counters_ = nullptr;
  shm::WorkerPulses* pulses_ = nullptr;
  shm::StatusMemory* status_ = nullptr;
  uint64_t number_ = 1;
};

}  // namespace limpet::master
