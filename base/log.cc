#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/log_path.h"
#include "base/syslog.h"
#include "base/unique_fd.h"

namespace limpet {
namespace {

constexpr std::array<std::string_view, 9> kNames = {"",     "emerg",  "alert", "crit", "error",
                                                    "warn", "notice", "info",  "debug"};

void WriteAll(int fd, std::string_view line) {
  while (!line.empty()) {
    const ssize_t n = ::write(fd, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // a log that cannot be written must not stop the service
    line.remove_prefix(static_cast<size_t>(n));
  }
}

class FileTarget final : public LogTarget {
 public:
  FileTarget(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  void Write(LogLevel /*level*/, std::string_view message) override {
    WriteAll(fd_.get(), std::string(message) + '\n');
  }

  Status Reopen() override {
    if (path_.empty()) return {};
    auto fd = OpenLogPath(path_);
    if (!fd) return fd.error();
    fd_ = std::move(*fd);
    return {};
  }

  int fd() const { return fd_.get(); }

 private:
  std::string path_;  // empty: the standard error stream
  UniqueFd fd_;
};

// A log that has no second name: somebody may have linked another file of ours to this one's. Best
// effort: what workers cannot reopen is reported when they try.
void GiveTo(uint32_t uid, int fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || found.st_nlink != 1) return;
  [[maybe_unused]] const int rc = ::fchown(fd, uid, static_cast<gid_t>(-1));
}

class SyslogTarget final : public LogTarget {
 public:
  explicit SyslogTarget(Syslog server) : server_(std::move(server)) {}

  void Write(LogLevel level, std::string_view message) override { server_.Send(level, message); }

  Status Reopen() override { return {}; }

 private:
  Syslog server_;
};

}  // namespace

Error ErrnoError(std::string what, int errnum) {
  return {std::error_code(errnum, std::generic_category()), std::move(what) + ErrnoText(errnum)};
}

std::string ErrnoText(int errnum) {
  return fmt::format(" ({}: {})", errnum, std::strerror(errnum));
}

std::string_view Name(LogLevel level) { return kNames[static_cast<size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (size_t i = 1; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string EscapeForLog(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7F) {
      out += c;
    } else {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out;
}

void Log::Add(LogTarget* target, LogLevel level) {
  sinks_.push_back({target, level});
  targets_.push_back(target);
  highest_ = std::max(highest_, level);
}

void Log::Write(LogLevel level, uint64_t connection, std::string_view message) const {
  if (!Enabled(level)) return;
  const auto pid = ::getpid();
  std::string line =
      fmt::format("{} [{}] {}#{}: ", FormatErrorLogTime(Now().seconds), Name(level), pid, pid);
  if (connection != 0) line += fmt::format("*{} ", connection);
  line += EscapeForLog(message);
  for (const Sink& sink : sinks_) {
    if (level <= sink.level) sink.target->Write(level, line);
  }
}

struct LogFiles::Entry {
  std::string key;
  std::unique_ptr<LogTarget> target;
  FileTarget* file = nullptr;  // of a path: what ChangeOwner changes
};

LogFiles::LogFiles() = default;
LogFiles::~LogFiles() = default;

Result<LogTarget*> LogFiles::OpenFile(const std::string& path) {
  for (const auto& entry : entries_) {
    if (entry->key == path) return entry->target.get();
  }
  auto fd = OpenLogPath(path);
  if (!fd) return fd.error();
  auto target = std::make_unique<FileTarget>(path, std::move(*fd));
  FileTarget* const file = IsStandardStream(path) ? nullptr : target.get();
  entries_.push_back(std::make_unique<Entry>(Entry{path, std::move(target), file}));
  return entries_.back()->target.get();
}

LogTarget* LogFiles::Stderr() {
  for (const auto& entry : entries_) {
    if (entry->key == "stderr") return entry->target.get();
  }
  auto target =
      std::make_unique<FileTarget>("", UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)));
  entries_.push_back(std::make_unique<Entry>(Entry{"stderr", std::move(target)}));
  return entries_.back()->target.get();
}

Result<LogTarget*> LogFiles::OpenSyslog(const SyslogSpec& spec) {
  auto server = Syslog::To(spec);
  if (!server) return server.error();
  entries_.push_back(
      std::make_unique<Entry>(Entry{"", std::make_unique<SyslogTarget>(std::move(*server))}));
  return entries_.back()->target.get();
}

void LogFiles::ReopenAll(const Log& log) {
  for (const auto& entry : entries_) {
    if (const Status status = entry->target->Reopen(); !status) {
      LIMPET_LOG(log, LogLevel::kEmerg, "{}", status.error().message);
    }
  }
}

void LogFiles::ChangeOwner(uint32_t uid) {
  for (const auto& entry : entries_) {
    if (entry->file != nullptr) GiveTo(uid, entry->file->fd());
  }
}

}  // namespace limpet
