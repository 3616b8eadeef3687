// Finds workers whose event loop no longer turns. Pure: what was seen in, what to do out.
//
// Time counts only while we look, and by small steps: after the whole machine was frozen, workers
// get their time again instead of being ended for a standstill that was ours, too.
//
// A worker that is stopped while it keeps a lock stops those that wait for it. It is ended first,
// and they go on: what they have under way is not lost.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace limpet::master {

class Watchdog {
 public:
  struct Seen {
    pid_t pid;
    uint64_t beat_ms;  // changes while the loop turns; 0: not begun yet, which may not last longer,
                       // either
    bool waits = false;  // for a lock that another worker keeps
  };
  enum class Order : uint8_t {
    kAbort,  // ends it with a core file that shows where it hangs
    kKill    // it did not even do that
  };
  struct Verdict {
    pid_t pid;
    Order order;
    uint64_t still_ms;
  };

  // All living workers, about once a second. `limit_ms` 0: nobody is judged.
  std::vector<Verdict> Check(std::span<const Seen> workers, uint64_t limit_ms, uint64_t now_ms);

 private:
  struct Watched {
    uint64_t beat_ms = 0;
    uint64_t still_ms = 0;
    bool aborted = false;
  };

  std::map<pid_t, Watched> watched_;
  uint64_t checked_ms_ = 0;
};

}  // namespace limpet::master
