// The access logs of one worker: open files, their buffers, and syslog senders. A line is one
// write, so that the workers' lines do not mix. A log that cannot be written never stops the
// service.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/syslog.h"
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
  struct SyslogServer {
    std::optional<Syslog> server;  // empty: its address is none
    WriteComplaints complaints;
  };

  void FindBuffering();
  void WriteTo(Exchange& exchange, const conf::AccessLog& log, const conf::LogSettings& settings);
  void WriteToVariablePath(Exchange& exchange, const conf::AccessLog& log,
                           const conf::OpenLogFileCache& cache);
  SyslogServer& ServerOf(const conf::AccessLog& log);
  void WriteToSyslog(const conf::AccessLog& log);

  const conf::Http& http_;
  Loop& loop_;
  const Log& main_log_;
  std::vector<std::unique_ptr<LogFile>> files_;  // to Http::access_log_files
  std::vector<LogFile::Buffering> buffering_;    // of files_, whichever line of the configuration
  LogFileCache variable_files_;
  WriteComplaints variable_complaints_;
  std::map<std::string, SyslogServer> syslog_;  // by everything that a SyslogSpec says
  std::unordered_map<const conf::AccessLog*, SyslogServer*> syslog_of_;
  std::string line_;  // reused
};

// The text of one line, without its end. Appends.
void FormatLogLine(conf::VariableReader& reader, const conf::LogFormat& format, std::string* out);

}  // namespace limpet::worker
