// Whose something is that several masters could write or remove: a file that its holder keeps
// locked. Unlike a pid file it keeps nobody from starting: who does not hold it leaves the thing
// alone, says so, and tries again later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/unique_fd.h"

namespace limpet::master {

class Claim {
 public:
  Claim() = default;
  ~Claim() { Release(); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  // True: it is ours, from now on or still; also where nobody can tell (a folder that is missing or
  // cannot be written, a file system without locks). Else the log hears of it, once, of `what` and
  // what to do. By the process that writes, or by its parent.
  bool Hold(const std::string& path, std::string_view what, std::string_view advice,
            const Log& log);
  void Release();  // the file goes, too

 private:
  enum class Try : uint8_t { kOurs, kTaken, kChanged };
  Try TryHold(const std::string& path);

  UniqueFd fd_;  // carries the lock
  std::string path_;
  pid_t owner_ = 0;   // a forked child has no lock
  pid_t holder_ = 0;  // with kTaken
  bool told_ = false;
};

}  // namespace limpet::master
