// The access logs of one worker: open files, their buffers, and syslog senders. A line is one
// write, so that the workers' lines do not mix. A log that cannot be written never stops the
// service.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/log/log_file.h"
#include "worker/http/log/log_file_cache.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class AccessLogs {
 public:
  // Opens every log with a constant path that is not `open`, which is to Http::access_log_files;
  // one that cannot be opened is an alert in `main_log`, and its lines are lost.
  AccessLogs(const conf::Http& http, Loop& loop, const Log& main_log,
             std::span<const int> open = {});
  ~AccessLogs();  // flushes

  void Write(Exchange& exchange);
  void Reopen();    // after a rotation (SIGUSR1)
  void FlushAll();  // what is buffered, to the files

 private:
  void WriteTo(Exchange& exchange, const conf::AccessLog& log, const conf::LogSettings& settings);
  void WriteToVariablePath(Exchange& exchange, const conf::AccessLog& log,
                           const conf::OpenLogFileCache& cache);
  LogTarget* Syslog(const conf::AccessLog& log);

  const conf::Http& http_;
  const Log& main_log_;
  std::vector<std::unique_ptr<LogFile>> files_;  // to Http::access_log_files
  LogFileCache variable_files_;
  WriteComplaints variable_complaints_;
  LogFiles syslog_files_;
  std::map<std::string, LogTarget*> syslog_;  // by everything that a SyslogSpec says
  std::unordered_map<const conf::AccessLog*, LogTarget*> syslog_of_;
  std::string line_;  // reused
};

// The text of one line, without its end. Appends.
void FormatLogLine(conf::VariableReader& reader, const conf::LogFormat& format, std::string* out);

}  // namespace limpet::worker
