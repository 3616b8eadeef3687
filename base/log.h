// The error log. A Log is a set of targets, each with its own level; a line goes to every target
// whose level admits it. Lines have nginx's form, so that existing tools read them:
//   2026/11/22 10:00:00 [error] 12#12: *7 message (111: Connection refused), client: …, server: …,
//   request: "…"
// Configuration builds Logs once; they are shared, constant, and safe to use after fork (each line
// is one write).
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet {

enum class LogLevel : uint8_t { kEmerg = 1, kAlert, kCrit, kError, kWarn, kNotice, kInfo, kDebug };

std::string_view Name(LogLevel level);
std::optional<LogLevel> ParseLogLevel(std::string_view name);

// Where lines go: a file, the standard error stream, or a syslog server. Owned by LogFiles, which
// can reopen it.
class LogTarget {
 public:
  virtual ~LogTarget() = default;
  // `message`: a whole line, without its line end.
  virtual void Write(LogLevel level, std::string_view message) = 0;
  virtual Status Reopen() = 0;  // after a rotation (SIGUSR1)
};

class Log {
 public:
  Log() = default;

  void Add(LogTarget* target, LogLevel level);
  bool Enabled(LogLevel level) const { return level <= highest_; }
  bool empty() const { return targets_.empty(); }

  // `connection` is a connection's number, shown as *N; 0 for none. Cold: what leads to a line is
  // kept out of the way of what does not.
  [[gnu::cold]] void Write(LogLevel level, uint64_t connection, std::string_view message) const;

 private:
  struct Sink {
    LogTarget* target;
    LogLevel level;
  };
  std::vector<Sink> sinks_;
  std::vector<LogTarget*> targets_;
  LogLevel highest_{};
};

// Formats only if somebody listens.
#define LIMPET_LOG(log, level, ...)                                              \
  do {                                                                           \
    if ((log).Enabled(level)) (log).Write((level), 0, fmt::format(__VA_ARGS__)); \
  } while (false)

// A message as a line shows it: every byte but printable ASCII as \xHH. What clients and upstreams
// say can then neither begin a line nor command a terminal.
std::string EscapeForLog(std::string_view text);

// " (111: Connection refused)", nginx's way to show errno.
std::string ErrnoText(int errnum);

// A syslog server as written in a configuration: syslog:server=ADDR[,facility=][,tag=][,nohostname]
struct SyslogSpec {
  std::string server;                   // address[:port] or unix:/path
  int facility = 23;                    // local7
  LogLevel severity = LogLevel::kInfo;  // of access log lines
  std::string tag = "limpet";
  bool hostname = true;
};

// All open log files of a process. The same path is opened once. Not thread safe.
class LogFiles {
 public:
  LogFiles();
  ~LogFiles();

  Result<LogTarget*> OpenFile(const std::string& path);  // appended to, created with mode 0644
  LogTarget* Stderr();
  Result<LogTarget*> OpenSyslog(const SyslogSpec& spec);

  // Reopens every file; the ones that fail keep their old descriptor and are reported to `log`.
  // When `owner` is given (uid of the workers), files that the master opened are handed to it so
  // that workers can reopen them.
  void ReopenAll(const Log& log);
  void ChangeOwner(uint32_t uid);

 private:
  struct Entry;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace limpet
