// What is kept in state_path over restarts and reboots: sessions, and what an operator has done to
// servers. Sessions are written every state_interval if anything has changed, when a graceful stop
// begins and at its end; servers' states as soon as they change. A child writes while there are
// workers (StateWriter); nothing here waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "master/generation.h"
#include "master/server_states.h"
#include "master/shared_memory.h"
#include "master/state_place.h"
#include "master/state_writer.h"

namespace limpet::master {

class StateKeeper {
 public:
  struct Hooks {
    std::function<Generation&()> generation;  // the one that serves
    std::function<SharedMemory&()> shared;
    std::function<void()> forked;  // in the child: gives up what is the master's alone
  };
  explicit StateKeeper(Hooks hooks);

  void RecallServers();  // at the start, before there are workers

  void Tick(uint64_t now_ms);
  std::optional<uint64_t> NextDeadline() const;
  void LookAtServers() { look_at_ms_ = 0; }  // an operator may have changed something
  void Write();                              // all of it, now

  bool IsWriter(pid_t child) const { return writer_.Is(child); }
  bool Forget(pid_t dead, int status);  // true if it was the child that writes
  void Finish(bool ours);               // the last word, after the last worker; ours: nobody else's

 private:
  const Log& log() const { return hooks_.generation().log(); }
  bool WriteAll();
  bool WriteServers() const;
  void FollowNames(uint64_t now_ms);
  void CheckServers(uint64_t now_ms);
  void CheckPlace();

  Hooks hooks_;
  StateWriter writer_;
  StatePlace place_;
  std::string told_other_;               // limpet that has the folder
  ServerStates servers_;                 // as they are, or will be when names have been answered
  ServerStates waiting_;                 // for those names
  bool due_ = false;                     // there is something to write
  std::optional<uint64_t> retry_at_ms_;  // what could not be written is tried again
  uint64_t changes_ = 0;                 // of sessions, when they were written last
  uint64_t write_at_ms_ = 0;
  uint64_t look_at_ms_ = 0;
  uint64_t follow_at_ms_ = 0;
};

}  // namespace limpet::master
