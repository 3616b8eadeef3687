// One master and the next: how listening sockets pass to a new binary (SIGUSR2), and who of the two
// still lives. Also takes the sockets that systemd has opened for us (sd_listen_fds(3)).
//
// The new master is a child of the old one and finds the sockets' numbers in its environment:
//   LIMPET_SOCKETS=PID:FD;FD;…    PID is the old master's
//   LIMPET_NOTES=FD               a text in a file in memory: what else the old one has to tell, in
//                                 lines (peer_memory.h, inheritance.h); who knows a line reads it
// Both run until the operator ends one of them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet::master {

// Of the pid file of a master that has a new binary beside it; nginx's: scripts know it.
inline constexpr std::string_view kOldPidSuffix = ".oldbin";

class Handover {
 public:
  // Reads what the environment says and takes it out of there: a later child must not believe it.
  // From now on the sockets are closed on exec.
  static Handover FromEnvironment();

  // Left to us; their owner closes them.
  const std::vector<int>& sockets() const { return sockets_; }
  const std::string& notes() const { return notes_; }    // "" if there are none
  void ForgetNotes() { notes_ = {}; }                    // all have read them
  bool from_master() const { return predecessor_ > 0; }  // we are the new binary of a running one

  bool predecessor_lives() const;
  bool successor_lives() const { return successor_ > 0; }
  // Sockets and zones are somebody else's, too: nothing of them may be removed.
  bool sibling_lives() const { return predecessor_lives() || successor_lives(); }
  pid_t successor() const { return successor_; }

  struct Passed {
    std::vector<int> sockets;
    std::vector<int> others;  // descriptors that the notes speak of
    std::string notes;
  };
  // Starts `argv` as a new process that inherits the descriptors and can read the notes. `failed`
  // runs in the child if it could not be executed, with the reason.
  Status Start(const std::vector<std::string>& argv, const Passed& passed,
               const std::function<void(const Error&)>& failed);

  // True if the process that died was the new binary.
  bool Forget(pid_t dead);

 private:
  std::vector<int> sockets_;
  std::string notes_;
  pid_t predecessor_ = 0;
  pid_t successor_ = 0;
};

}  // namespace limpet::master
