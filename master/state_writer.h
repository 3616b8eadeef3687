// A child that writes what must outlive this process: neither a slow disk nor a lot to write keeps
// the master waiting. One child at a time; one that takes too long is ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "base/log.h"

namespace limpet::master {

class StateWriter {
 public:
  struct Hooks {
    std::function<bool()> write;  // in the child; false: something could not be written
    std::function<const Log&()> log;
  };

  explicit StateWriter(Hooks hooks) : hooks_(std::move(hooks)) {}
  ~StateWriter() { Stop(); }
  StateWriter(const StateWriter&) = delete;
  StateWriter& operator=(const StateWriter&) = delete;

  // Starts a child unless one is at work. False: there is none now.
  [[nodiscard]] bool Start(uint64_t now_ms);
  bool busy() const { return child_ > 0; }
  bool Is(pid_t child) const { return busy() && child == child_; }

  void Tick(uint64_t now_ms);
  std::optional<uint64_t> NextDeadline() const { return end_at_ms_; }

  bool Forget(pid_t dead);  // true if it was the child
  void Stop();              // ends the child: somebody else will write the same files

 private:
  Hooks hooks_;
  pid_t child_ = 0;
  std::optional<uint64_t> end_at_ms_;  // when the child has taken too long
};

}  // namespace limpet::master
