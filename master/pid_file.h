// The file with the master's process id. It appears whole or not at all (written beside its place
// and moved there), and only when every socket listens: whoever sees it may connect.
//
// Its holder keeps a lock on it (fcntl: of this process alone, gone with it, not the workers'). So
// of two masters that start at the same moment one fails, and a file left by a crash is nobody's.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet::master {

class PidFile {
 public:
  PidFile() = default;
  ~PidFile() { Remove(); }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // For -t: whether there is a folder for it.
  static Status CheckPlace(const std::string& path);

  // Fails as Write() would, where a living process holds the file or it has no folder; changes
  // nothing.
  Status CheckFree(const std::string& path) const;

  // Writes this process's id; a file written before elsewhere is removed after the new one is
  // there. Fails if a living process holds the file.
  Status Write(const std::string& path);

  // For a change of binary: the file gets another name (replacing what has it) and stays ours.
  Status Rename(const std::string& path);

  // From now on another process may take the file's place. Until then it stays.
  void Unlock();
  bool IsTaken() const;  // by another process: it goes on in our place

  void Remove();  // unless it is no longer ours
  const std::string& path() const { return path_; }

 private:
  UniqueFd fd_;  // carries the lock
  std::string path_;
  pid_t owner_ = 0;  // a forked child must not remove its master's file
};

// Errors are worded as nginx words them for -s.
Result<pid_t> ReadPidFile(const std::string& path);

}  // namespace limpet::master
