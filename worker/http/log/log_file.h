// One log file, appended to. Lines go out at once, or through a buffer that is written when it is
// full, when its oldest line is `flush` old, and at Flush(); compressed then, each time as one gzip
// member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/unique_fd.h"
#include "worker/net/loop.h"

namespace limpet::worker {

// A full disk must not fill the error log as well: it is told of once a minute.
class WriteComplaints {
 public:
  bool Wants(uint64_t now_ms);

 private:
  uint64_t last_ms_ = 0;
};

class LogFile {
 public:
  struct Buffering {
    size_t size = 0;  // 0: none
    uint64_t flush_ms = 0;
    int gzip_level = 0;
  };

  LogFile(std::string path, Loop& loop, const Log& main_log);
  ~LogFile() { Flush(); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Opens, or opens anew: an old descriptor is kept if that fails.
  Status Open();
  // The file that the master has opened, with its rights. Its number is of this process, too: it
  // becomes the new file when that is opened anew, or it would keep the old one from being freed.
  Status Share(int fd);

  // `line` with its end.
  void Write(std::string_view line, const Buffering& buffering);
  void Flush();

 private:
  void WriteOut(std::string_view bytes);

  std::string path_;
  const Log& main_log_;
  UniqueFd fd_;
  int shared_ = -1;      // see Share()
  Buffering buffering_;  // of the lines in buffer_
  std::string buffer_;
  Timer timer_;
  Loop& loop_;
  WriteComplaints complaints_;
};

// Writes all of `bytes`; 0 or an errno. Appends of one call stay together.
int WriteLogBytes(int fd, std::string_view bytes);

// `bytes` as one gzip member (RFC 1952).
std::string GzipMember(std::string_view bytes, int level);

}  // namespace limpet::worker
