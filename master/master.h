// The master process: opens generations, keeps workers alive, obeys signals. Never reads a byte
// from a client, has no threads, and waits in one place only.
#pragma once

#include <memory>
#include <optional>

#include "master/event_wait.h"
#include "master/generation.h"
#include "master/pid_file.h"
#include "master/supervisor.h"

namespace limpet::master {

class Master {
 public:
  Master(const CommandLine& command_line, const Paths& paths, const EarlyLog& early);

  // Serves until told to stop. Returns the exit status.
  int Run(std::shared_ptr<const conf::Config> config);

 private:
  enum class State : uint8_t { kServing, kResting /* WINCH: no workers */, kQuitting, kStopping };

  Status Start(std::shared_ptr<const conf::Config> config);
  int RunAlone();  // master_process off
  void Loop();
  void Finish();

  void OnSignal(const Signal& signal);
  void Reload();
  void Reopen();
  void Rest();
  void End(State state, int signal);
  void StartWorkers();

  void Tick();
  std::optional<uint64_t> NextDeadline() const;

  const Log& log() const { return generation_->log(); }

  const CommandLine& command_line_;
  const Paths& paths_;
  const EarlyLog& early_;
  std::optional<EventWait> wait_;
  PidFile pid_file_;
  std::unique_ptr<SharedMemory> shared_;
  std::shared_ptr<Generation> generation_;
  std::optional<Supervisor> supervisor_;
  State state_ = State::kServing;
  std::optional<uint64_t> retire_at_ms_;  // when workers of older generations are told to end
  std::optional<uint64_t> kill_at_ms_;    // when those that did not stop are killed
};

}  // namespace limpet::master
