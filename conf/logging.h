// error_log, log_format and access_log as written. Files are opened by the process that uses them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/template.h"
#include "conf/upstream.h"

namespace limpet::conf {

struct ErrorLog {
  enum class Target : uint8_t { kFile, kStderr, kSyslog };
  Target target = Target::kFile;
  std::string path;
  SyslogSpec syslog;
  LogLevel level = LogLevel::kError;
};
using ErrorLogs = std::vector<ErrorLog>;  // the error_log lines of one level

enum class LogEscape : uint8_t { kDefault, kJson, kNone };

struct LogFormat {
  std::string name;
  LogEscape escape = LogEscape::kDefault;
  std::vector<Template> parts;  // literals and single variables, in order: escaping is per variable
};

struct AccessLog {
  Template path;  // with variables: opened at each use through open_log_file_cache
  std::optional<SyslogSpec> syslog;
  int file = -1;      // index into Http::access_log_files if the path is constant
  int format = 0;     // index into Http::log_formats
  size_t buffer = 0;  // 0: each line is one write
  Ms flush = 0ms;
  int gzip_level = 0;
  std::optional<Template> condition;  // if=
};

struct OpenLogFileCache {
  int max = 0;  // 0: off
  Ms inactive = 10s;
  Ms valid = 60s;
  int min_uses = 1;
};

struct LogSettings {
  std::vector<AccessLog> access_logs;
  bool access_off = false;
  OpenLogFileCache file_cache;
  int error_log = 0;  // index into Config::error_logs
  bool log_not_found = true;
  bool log_subrequest = false;
};

}  // namespace limpet::conf
