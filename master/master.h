// The master process: opens generations, keeps workers alive, obeys signals. Never reads a byte
// from a client, has no threads, and waits in one place only.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "master/capacity_alerts.h"
#include "master/control_socket.h"
#include "master/event_wait.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/pid_file.h"
#include "master/service_manager.h"
#include "master/state_keeper.h"
#include "master/supervisor.h"

namespace limpet::master {

class Master {
 public:
  struct Start {  // how the process was started; outlives the master
    const CommandLine& command_line;
    const std::vector<std::string>& argv;  // for a new binary
    const Paths& paths;
    const EarlyLog& early;
  };
  Master(const Start& start, Handover handover);

  // Serves until told to stop. Returns the exit status.
  int Run(std::shared_ptr<const conf::Config> config);

 private:
  enum class State : uint8_t { kServing, kResting /* WINCH: no workers */, kQuitting, kStopping };

  Status Open(std::shared_ptr<const conf::Config> config);
  int RunAlone();  // master_process off
  void Loop();
  void Finish();

  void OnSignal(const Signal& signal);
  void Reload();
  bool OpenNext();
  Status OpenGeneration(std::shared_ptr<const conf::Config> config);
  void Reclaim();
  void ResumeWorkers();
  void ChangeBinary();
  Result<Handover::Passed> WhatToPass();
  void ForgetBequest();
  void OnOtherDeath(pid_t pid);
  void OnPredecessorGone();
  void Settle();
  void OnLost(shm::Incidents::Death how, const std::string& text, int slot);
  void NoteLoad(const std::string& why);
  Supervisor::Hooks SupervisorHooks();
  StateKeeper::Hooks KeeperHooks();
  void OpenControl();
  void Reopen();
  void Rest();
  void End(State state, int signal);
  void GiveUpPlace();
  bool ends() const { return state_ == State::kQuitting || state_ == State::kStopping; }
  bool IsNewest() const;
  void StartWorkers();
  void ReplaceWorkers();
  void RetireWorkers(uint64_t now_ms);

  std::string StatusLine() const;
  void Tick();
  void LookAtWorkers(uint64_t now_ms);
  uint64_t BeatOf(int slot) const;
  uint64_t NextDeadline() const;

  const Log& log() const { return generation_->log(); }

  const Start start_;
  Handover handover_;
  ServiceManager service_manager_;
  std::optional<EventWait> wait_;
  PidFile pid_file_;
  std::unique_ptr<SharedMemory> shared_;
  std::shared_ptr<Generation> generation_;
  // Of earlier ones by their numbers: their memory is nobody else's while they have workers.
  std::map<uint64_t, SharedMemory::View> former_zones_;
  std::optional<Supervisor> supervisor_;
  std::optional<StateKeeper> keeper_;
  CapacityAlerts alerts_;
  ControlSocket control_;
  State state_ = State::kServing;
  std::optional<uint64_t> retire_at_ms_;  // when workers of older generations are told to end
  uint64_t tell_unreplaced_at_ms_ = 0;    // when it is said that those go on
  std::optional<uint64_t> stop_at_ms_;    // when a graceful stop has taken too long
  std::optional<uint64_t> kill_at_ms_;    // when those that did not stop are killed
  uint64_t losses_told_until_ms_ = 0;     // see OnLost
  uint64_t look_at_ms_ = 0;               // when workers are looked at next
  bool others_gone_ = false;              // to be settled in shared memory
  bool reclaims_ = false;                 // the same
  bool replacing_ = false;                // workers, in Reclaim
  bool succeeding_ = false;               // another master lives, whose binary ours shall replace
};

}  // namespace limpet::master
