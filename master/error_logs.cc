#include "master/error_logs.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/log_path.h"

namespace limpet::master {
namespace {

Result<LogTarget*> OpenTarget(const conf::ErrorLog& wanted, LogFiles* files) {
  switch (wanted.target) {
    case conf::ErrorLog::Target::kFile:
      return files->OpenFile(wanted.path);
    case conf::ErrorLog::Target::kStderr:
      return files->Stderr();
    case conf::ErrorLog::Target::kSyslog:
      return files->OpenSyslog(wanted.syslog);
  }
  return InvalidArgument("unknown log target");
}

Result<Log> OpenLog(const conf::ErrorLogs& lines, const std::string& fallback, LogFiles* files) {
  Log log;
  for (const conf::ErrorLog& line : lines) {
    auto target = OpenTarget(line, files);
    if (!target) return target.error();
    log.Add(*target, line.level);
  }
  if (!log.empty()) return log;
  const bool to_stderr = fallback == "stderr";
  auto target = to_stderr ? Result<LogTarget*>(files->Stderr()) : files->OpenFile(fallback);
  if (!target) return target.error();
  log.Add(*target, LogLevel::kError);  // nginx's default level
  return log;
}

Status GiveTo(uid_t uid, int fd, const std::string& path) {
  struct stat found {};
  if (::fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return {};
  if (found.st_uid == uid || found.st_nlink != 1) return {};
  if (::fchown(fd, uid, static_cast<gid_t>(-1)) == 0) return {};
  return ErrnoError(fmt::format("chown(\"{}\", {}) failed", path, uid), errno);
}

}  // namespace

Result<std::vector<Log>> OpenErrorLogs(const conf::Config& config, const std::string& fallback,
                                       LogFiles* files) {
  std::vector<Log> logs;
  for (const conf::ErrorLogs& lines : config.error_logs) {
    auto log = OpenLog(lines, fallback, files);
    if (!log) return log.error();
    logs.push_back(std::move(*log));
  }
  if (!logs.empty()) return logs;
  auto log = OpenLog({}, fallback, files);
  if (!log) return log.error();
  logs.push_back(std::move(*log));
  return logs;
}

Result<UniqueFd> OpenAccessLog(const std::string& path, const std::optional<Credentials>& owner) {
  Result<UniqueFd> fd = OpenLogPath(path);
  if (!fd || !owner || IsStandardStream(path)) return fd;
  if (const Status status = GiveTo(owner->uid, fd->get(), path); !status) return status.error();
  return fd;
}

Result<std::vector<UniqueFd>> OpenAccessLogs(const conf::Config& config,
                                             const std::optional<Credentials>& owner) {
  std::vector<UniqueFd> logs;
  if (!config.http) return logs;
  for (const std::string& path : config.http->access_log_files) {
    Result<UniqueFd> fd = OpenAccessLog(path, owner);
    if (!fd) return fd.error();
    logs.push_back(std::move(*fd));
  }
  return logs;
}

EarlyLog::EarlyLog(const std::string& path) {
  if (path == "stderr") return;
  auto target = files_.OpenFile(path);
  if (target) {
    log_.Add(*target, LogLevel::kNotice);
    return;
  }
  Report(LogLevel::kAlert, "could not open error log file: " + target.error().message);
}

void EarlyLog::Report(LogLevel level, const std::string& message) const {
  if (level < LogLevel::kWarn || show_warnings_) {
    fmt::print(stderr, "limpet: [{}] {}\n", Name(level), message);
  }
  log_.Write(level, 0, message);
}

std::function<void(LogLevel, const std::string&)> EarlyLog::Reporter() const {
  return [this](LogLevel level, const std::string& message) { Report(level, message); };
}

}  // namespace limpet::master
