// Log files whose paths hold variables: opened for each line, or kept open as open_log_file_cache
// says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/log.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "conf/logging.h"

namespace limpet::worker {

class LogFileCache {
 public:
  struct Failure {
    int open = 0, write = 0;  // the errno of each; 0: none
  };

  // Appends `line` to the file.
  Failure Write(const std::string& path, std::string_view line,
                const conf::OpenLogFileCache& settings, uint64_t now_ms);
  void Clear();

 private:
  struct Entry {
    std::string path;
    UniqueFd fd;  // empty: not used often enough yet
    dev_t device = 0;
    ino_t inode = 0;
    int uses = 0;
    uint64_t used_ms = 0;
    uint64_t checked_ms = 0;
  };
  using Entries = std::list<Entry>;  // the newest first

  Entry* Find(const std::string& path, const conf::OpenLogFileCache& settings, uint64_t now_ms);
  bool StillThere(Entry& entry, const conf::OpenLogFileCache& settings, uint64_t now_ms);
  void Remember(const std::string& path, UniqueFd fd, const conf::OpenLogFileCache& settings,
                uint64_t now_ms);

  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> index_;
};

}  // namespace limpet::worker
