// The file with the master's process id. It appears whole or not at all (written beside its place
// and renamed), and only when every socket listens: whoever sees it may connect.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace limpet::master {

class PidFile {
 public:
  PidFile() = default;
  ~PidFile() { Remove(); }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // Writes this process's id; a file written before elsewhere is removed after the new one is
  // there.
  Status Write(const std::string& path);
  void Remove();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  pid_t owner_ = 0;  // a forked child must not remove its master's file
};

// Errors are worded as nginx words them for -s.
Result<pid_t> ReadPidFile(const std::string& path);

}  // namespace limpet::master
