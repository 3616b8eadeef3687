// The worker processes: started, signalled, reaped and replaced. Nothing here waits.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "master/watchdog.h"
#include "shm/counters.h"
#include "shm/worker_pulse.h"

namespace limpet::master {

// How long to wait before a worker that has died is started again. Not at all if it had begun to
// serve: a request that crashes workers must not take the service with it. Workers that never begin
// are started ever more rarely.
class RespawnDelay {
 public:
  uint64_t AfterDeath(bool had_begun);  // milliseconds to wait

 private:
  int deaths_before_beginning_ = 0;  // in a row
};

class Supervisor {
 public:
  struct Worker {
    pid_t pid = 0;
    int number = 0;  // 0 … within its generation
    int slot = 0;    // unique among the living
    uint64_t generation = 0;
    uint64_t started_ms = 0;
    bool ending = false;   // told to stop: not replaced
    bool killed = false;   // by us, as it did not stop
    bool hanging = false;  // ended by the watchdog
  };
  struct Hooks {
    std::function<int(int number, int slot)> run;  // in the child: returns the exit status
    // In the master: whether the worker has begun to serve; of a dead one asked before `died`.
    std::function<bool(int slot)> had_begun;
    // In the master: frees what the worker held. False: not yet, to be called again before the slot
    // is another worker's.
    std::function<bool(int slot)> died;
    std::function<const Log&()> log;
    // A worker has ended without being told to.
    std::function<void(shm::Incidents::Death how, const std::string& text, int slot)> lost =
        [](shm::Incidents::Death, const std::string&, int) {};
    // A child that is no worker.
    std::function<void(pid_t pid, int status)> other_died = [](pid_t, int) {};
  };

  explicit Supervisor(Hooks hooks) : hooks_(std::move(hooks)) {}

  // Starts workers 0 … count - 1; from now on it is this generation's workers that are replaced
  // when they die. A worker that cannot be started now (there is no process or no slot to be had)
  // is started later.
  void StartGeneration(uint64_t generation, int count);

  void SignalAll(int signal);
  // Ends workers of earlier generations gracefully once all of this one have begun to serve. Where
  // some do not, each once the worker of its number takes connections beside those that go on: they
  // may have sockets of their own. False: some still have to serve.
  bool QuitReplaced(uint64_t now_ms);
  void Stop(int signal);  // to all; nobody is replaced any more
  void Kill();            // what did not stop in time

  void Reap();                 // after SIGCHLD
  void Tick(uint64_t now_ms);  // starts what is due
  std::optional<uint64_t> NextDeadline() const;

  // Workers that stand still are ended and so replaced.
  void Watch(const shm::WorkerPulses& pulses, uint64_t limit_ms, uint64_t now_ms);

  bool idle() const { return workers_.empty(); }
  bool HasWorkersOf(uint64_t generation) const;
  const std::vector<Worker>& workers() const { return workers_; }

 private:
  struct Seat {  // of one worker number in the current generation
    RespawnDelay delay;
    int failed_forks = 0;  // in a row
    std::optional<uint64_t> start_at_ms;
  };

  void Start(int number, uint64_t now_ms);
  void WaitForSlot(Seat& seat, uint64_t now_ms);
  void OnDeath(pid_t pid, int status);
  void FreeSlotsOfDead();
  void Send(Worker& worker, int signal);
  void Mourn(const Worker& dead, int status);
  bool AllHaveBegun() const;
  bool IsReplaced(const Worker& old, uint64_t now_ms) const;
  std::optional<int> FreeSlot() const;

  Hooks hooks_;
  std::vector<Worker> workers_;
  std::vector<Seat> seats_;
  std::vector<int> slots_of_dead_;  // not free yet
  Watchdog watchdog_;
  uint64_t generation_ = 0;
  bool told_crowded_ = false;  // that workers of this generation wait for slots
};

}  // namespace limpet::master
