// Error logs as configured, opened; and where errors go before there is a configuration.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"
#include "conf/config.h"
#include "master/credentials.h"

namespace limpet::master {

// Parallel to config.error_logs (never empty: the first is the main context's). `fallback`: the
// path, or "stderr", used where a level has no error_log of its own.
Result<std::vector<Log>> OpenErrorLogs(const conf::Config& config, const std::string& fallback,
                                       LogFiles* files);

// Opens an access log for workers: their user (`owner`) may have no right to enter the folder. The
// file is made that user's, as workers reopen it themselves.
Result<UniqueFd> OpenAccessLog(const std::string& path, const std::optional<Credentials>& owner);
// All of them, in the order of Http::access_log_files.
Result<std::vector<UniqueFd>> OpenAccessLogs(const conf::Config& config,
                                             const std::optional<Credentials>& owner);

// Errors before a configuration's own log is there: to the -e file, and to people on stderr as
// `limpet: [emerg] …`.
class EarlyLog {
 public:
  explicit EarlyLog(const std::string& path);

  void Report(LogLevel level, const std::string& message) const;
  std::function<void(LogLevel, const std::string&)> Reporter() const;
  void ShowWarnings(bool show) { show_warnings_ = show; }  // of what follows
  const Log& file() const { return log_; }

 private:
  LogFiles files_;
  Log log_;
  bool show_warnings_ = true;
};

}  // namespace limpet::master
