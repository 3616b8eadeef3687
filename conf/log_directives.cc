// error_log, access_log and log_format.
#include <algorithm>
#include <array>
#include <iterator>

#include "conf/listen_parser.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/syslog.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

// nginx's debug_core, debug_http and so on: there is one debug level here.
std::optional<LogLevel> ErrorLevel(const std::string& word) {
  if (word.starts_with("debug_")) return LogLevel::kDebug;
  return ParseLogLevel(word);
}

std::string_view SyslogTag(const Config& config) {
  return config.compatible_nginx ? "nginx" : "limpet";
}

Status ErrorLogRow(Block& b, const Directive& d) {
  auto& levels = b.config.error_logs;
  int main_level = 0;
  int& index = b.location ? b.location->log.error_log : main_level;
  if (b.First(&levels)) {
    if (b.location) {
      index = static_cast<int>(levels.size());
      levels.emplace_back();
    } else {
      levels[0].clear();
    }
  }
  ErrorLog log;
  const std::string& target = d.args[0];
  if (target == "stderr") {
    log.target = ErrorLog::Target::kStderr;
  } else if (target.starts_with("syslog:")) {
    Result<SyslogSpec> spec = ParseSyslog(target, SyslogTag(b.config));
    if (!spec) return spec.error();
    log.target = ErrorLog::Target::kSyslog;
    log.syslog = std::move(*spec);
  } else if (target.starts_with("memory:")) {
    return InvalidArgument("\"memory:\" is not supported: name a file");
  } else {
    log.path = b.loader.FromPrefix(target);
    b.loader.NoteFile(d, log.path);
  }
  for (size_t i = 1; i < d.args.size(); ++i) {
    const auto level = ErrorLevel(d.args[i]);
    if (!level)
      return InvalidArgument(fmt::format(
          "invalid log level \"{}\": it is debug, info, notice, warn, error, crit, alert or emerg",
          d.args[i]));
    if (i > 1 && !d.args[i].starts_with("debug_")) {
      return InvalidArgument(fmt::format("duplicate log level \"{}\"", d.args[i]));
    }
    log.level = *level;
  }
  levels[static_cast<size_t>(index)].push_back(std::move(log));
  return {};
}

Status LogFormatRow(Block& b, const Directive& d) {
  LogFormat format;
  format.name = d.args[0];
  size_t first = 1;
  if (const auto escape = After(d.args[1], "escape=")) {
    ++first;
    if (*escape == "json") {
      format.escape = LogEscape::kJson;
    } else if (*escape == "none") {
      format.escape = LogEscape::kNone;
    } else if (*escape != "default") {
      return InvalidArgument(
          fmt::format("unknown log format escaping \"{}\": it is default, json or none", *escape));
    }
  }
  for (size_t i = first; i < d.args.size(); ++i) {  // a variable's name ends with its string
    WarnOfMisread(b, d, d.args[i]);
    Result<std::vector<Template>> parts = SplitLogFormat(d.args[i], b.http->variables, Where(d));
    if (!parts) return parts.error();
    std::move(parts->begin(), parts->end(), std::back_inserter(format.parts));
  }
  const bool is_new =
      b.loader.log_formats.emplace(ToLower(format.name), b.http->log_formats.size()).second;
  if (!is_new || EqualsIgnoreCase(format.name, "combined")) {
    return InvalidArgument(fmt::format("duplicate \"log_format\" name \"{}\"", format.name));
  }
  b.http->log_formats.push_back(std::move(format));
  return {};
}

Result<int> FindFormat(Block& b, const std::string& name) {
  if (EqualsIgnoreCase(name, "combined")) return 0;
  const auto it = b.loader.log_formats.find(ToLower(name));
  if (it == b.loader.log_formats.end())
    return InvalidArgument(fmt::format("unknown log format \"{}\"", name));
  return it->second;
}

int FileIndex(Block& b, const std::string& path) {
  auto& files = b.http->access_log_files;
  const auto [it, is_new] = b.loader.access_log_files.emplace(path, static_cast<int>(files.size()));
  if (is_new) files.push_back(path);
  return it->second;
}

Status Target(Block& b, const Directive& d, AccessLog* log) {
  const std::string& target = d.args[0];
  if (target.starts_with("syslog:")) {
    Result<SyslogSpec> spec = ParseSyslog(target, SyslogTag(b.config));
    if (!spec) return spec.error();
    log->syslog = std::move(*spec);
    return {};
  }
  if (Status s = Strings{}(b, d, b.loader.FromPrefix(target), log->path); !s) return s;
  if (!log->path.is_constant()) return {};
  log->file = FileIndex(b, log->path.source());
  b.loader.NoteFile(d, log->path.source());
  return {};
}

Status Gzip(const std::string& text, AccessLog* log) {
  constexpr size_t kGzipBuffer = 65536;
  if (log->buffer == 0) log->buffer = kGzipBuffer;
  const auto level =
      text == "gzip" ? std::optional<uint64_t>(1) : ParseDecimal(std::string_view(text).substr(5));
  if (!level || *level < 1 || *level > 9) {
    return InvalidArgument(
        fmt::format("invalid compression level \"{}\": it is 1 to 9", text.substr(5)));
  }
  log->gzip_level = static_cast<int>(*level);
  return {};
}

Status AccessOption(Block& b, const Directive& d, const std::string& text, AccessLog* log) {
  if (const auto buffer = After(text, "buffer=")) {
    const auto size = ParseSizeUnits(*buffer, false);
    if (!size || *size == 0)
      return InvalidArgument(
          fmt::format("invalid buffer size \"{}\": a size is 100, 10k or 1m, above 0", *buffer));
    log->buffer = static_cast<size_t>(*size);
    return {};
  }
  if (const auto flush = After(text, "flush=")) {
    const auto time = ParseTime(*flush, false);
    if (!time || time->count() == 0)
      return InvalidArgument(
          fmt::format("invalid flush time \"{}\": a time is 500ms, 30s or 1h30m, above 0", *flush));
    log->flush = *time;
    return {};
  }
  if (text == "gzip" || text.starts_with("gzip=")) return Gzip(text, log);
  if (const auto condition = After(text, "if=")) return Strings{}(b, d, *condition, log->condition);
  return InvalidParameter(text);
}

// The buffer belongs to the file, and holds for all that is written there.
Status CheckBuffer(Block& b, const Directive& d, const AccessLog& log) {
  if (log.flush.count() && log.buffer == 0) {
    return InvalidArgument(fmt::format("no buffer is defined for access_log \"{}\"", d.args[0]));
  }
  if (log.buffer == 0) return {};
  if (log.syslog) return InvalidArgument("logs to syslog cannot be buffered");
  if (log.file < 0) return InvalidArgument("buffered logs cannot have variables in name");
  const std::tuple wanted(log.buffer, log.flush, log.gzip_level);
  if (b.loader.log_buffers.emplace(log.file, wanted).first->second == wanted) return {};
  return InvalidArgument(
      fmt::format("access_log \"{}\" already defined with conflicting parameters", d.args[0]));
}

Status AccessLogRow(Block& b, const Directive& d) {
  LogSettings& settings = b.location->log;
  if (b.First(&settings.access_logs)) {
    settings.access_logs.clear();
    settings.access_off = false;
  }
  if (d.args[0] == "off") {
    if (d.args.size() > 1) return InvalidParameter(d.args[1]);
    settings.access_off = true;
    return {};
  }
  AccessLog log;
  if (Status s = Target(b, d, &log); !s) return s;
  const Result<int> format = FindFormat(b, d.args.size() > 1 ? d.args[1] : "combined");
  if (!format) return format.error();
  log.format = *format;
  for (size_t i = 2; i < d.args.size(); ++i) {
    if (Status s = AccessOption(b, d, d.args[i], &log); !s) return s;
  }
  if (Status s = CheckBuffer(b, d, log); !s) return s;
  settings.access_logs.push_back(std::move(log));
  return {};
}

Status FileCache(Block& b, const Directive& d) {
  OpenLogFileCache cache;
  if (d.args.size() == 1 && d.args[0] == "off") {
    b.location->log.file_cache = cache;
    return {};
  }
  for (const std::string& text : d.args) {
    bool ok = false;
    if (const auto max = After(text, "max=")) {
      const auto n = ParseDecimal(*max);
      ok = n && *n > 0 && *n <= INT32_MAX;
      if (ok) cache.max = static_cast<int>(*n);
    } else if (const auto uses = After(text, "min_uses=")) {
      const auto n = ParseDecimal(*uses);
      ok = n && *n > 0 && *n <= INT32_MAX;
      if (ok) cache.min_uses = static_cast<int>(*n);
    } else if (const auto inactive = After(text, "inactive=")) {
      const auto time = ParseTime(*inactive, true);
      ok = time.has_value();
      if (ok) cache.inactive = *time;
    } else if (const auto valid = After(text, "valid=")) {
      const auto time = ParseTime(*valid, true);
      ok = time.has_value();
      if (ok) cache.valid = *time;
    }
    if (!ok)
      return InvalidArgument(
          fmt::format("invalid \"open_log_file_cache\" parameter \"{}\": it is off, max=N or "
                      "min_uses=N with N above 0, inactive=TIME or valid=TIME",
                      text));
  }
  if (cache.max == 0) return InvalidArgument("\"open_log_file_cache\" must have \"max\" parameter");
  b.location->log.file_cache = cache;
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;

constexpr std::array kRows = std::to_array<Row>({
    {"error_log", kMain | kHere, AtLeast(1), kMany, ErrorLogRow, "/var/log/limpet/error.log error",
     "FILE | stderr | syslog:… [LEVEL]; several lines of one level all get every message"},
    {"log_format", kHttp, AtLeast(2), kMany | kEarly, LogFormatRow, "combined …",
     "NAME [escape=default|json|none] TEXT …: a form for access log lines"},
    {"access_log", kHere | kLocationIf | kLimitExcept, AtLeast(1), kMany, AccessLogRow, "off",
     "off | FILE | syslog:… [FORMAT [buffer=] [flush=] [gzip[=]] [if=]]; nothing is logged unless "
     "a file is named"},
    {"open_log_file_cache", kHere, Takes(1, 2, 3, 4), kOnce, FileCache, "off",
     "off | max= [inactive=] [valid=] [min_uses=]: keeps log files open whose names have "
     "variables"},
    {"log_not_found", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::log, &LogSettings::log_not_found>, "on",
     "log files that do not exist as errors"},
    {"log_subrequest", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::log, &LogSettings::log_subrequest>, "off",
     "log our own requests (auth_request), too"},
});

}  // namespace

constinit const std::span<const Row> kLogDirectives = kRows;

Result<std::vector<Template>> SplitLogFormat(std::string_view text, VariableTable& variables,
                                             std::string_view where) {
  std::vector<Template> parts;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (text[at] == '$') {
      const bool braced = end < text.size() && text[end] == '{';
      while (end < text.size() && (braced ? text[end - 1] != '}' : IsNameChar(text[end]))) ++end;
    } else {
      end = std::min(text.find('$', at), text.size());
    }
    Result<Template> part = Template::Compile(text.substr(at, end - at), variables, where);
    if (!part) return part.error();
    parts.push_back(std::move(*part));
    at = end;
  }
  return parts;
}

}  // namespace limpet::conf
