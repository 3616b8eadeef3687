// The master's only wait: for signals and for one descriptor, with a deadline.
#pragma once

#include <sys/signalfd.h>

#include <optional>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace limpet::master {

// What a signal brought: its number and who sent it (0: the kernel).
struct Signal {
  int number = 0;
  int sender = 0;
};

// Always: the signals it reads are blocked in this process and inherited so by its children.
class EventWait {
 public:
  static Result<EventWait> Create();

  // The next signal, or nothing when `deadline_ms` (MonotonicMs) has passed or `other_fd` can be
  // read from (-1: there is none). A deadline in the past asks without waiting.
  std::optional<Signal> Next(std::optional<uint64_t> deadline_ms, int other_fd = -1);

 private:
  explicit EventWait(UniqueFd signals) : signals_(std::move(signals)) {}

  UniqueFd signals_;
};

std::string_view SignalName(int number);  // "SIGHUP"; "" for one the master does not read

}  // namespace limpet::master
