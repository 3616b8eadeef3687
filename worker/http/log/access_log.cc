#include "worker/http/log/access_log.h"

#include <sys/stat.h>

#include <cerrno>

#include "proto/escape.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/hooks.h"

namespace limpet::worker {
namespace {

void AppendValue(const conf::Value& value, conf::LogEscape escape, std::string* out) {
  switch (escape) {
    case conf::LogEscape::kDefault:
      if (!value.found) return out->push_back('-');
      return proto::AppendEscaped(out, value.text, proto::EscapeKind::kLog);
    case conf::LogEscape::kJson:
      return proto::AppendEscaped(out, value.text, proto::EscapeKind::kJson);
    case conf::LogEscape::kNone:
      out->append(value.text);
  }
}

std::string SyslogKey(const conf::AccessLog& log) {
  const SyslogSpec& spec = *log.syslog;
  return fmt::format("{} {} {} {} {}", spec.server, spec.facility, static_cast<int>(spec.severity),
                     spec.tag, spec.hostname);
}

// A condition that cannot be evaluated hides no request.
bool IsWanted(Exchange& exchange, const conf::Template& condition) {
  exchange.TakeMatchFailure();  // of what was evaluated before
  const std::string_view value = exchange.Evaluate(condition);
  return exchange.TakeMatchFailure() || (!value.empty() && value != "0");
}

}  // namespace

void FormatLogLine(conf::VariableReader& reader, const conf::LogFormat& format, std::string* out) {
  for (const conf::Template& part : format.parts) {
    if (part.is_single_variable()) {
      AppendValue(reader.Get(part.single_variable()), format.escape, out);
    } else {
      out->append(part.Evaluate(reader));
    }
  }
}

AccessLogs::AccessLogs(const conf::Http& http, Loop& loop, const Log& main_log,
                       std::span<const int> open)
    : http_(http), main_log_(main_log) {
  for (const std::string& path : http.access_log_files) {
    const size_t i = files_.size();
    files_.push_back(std::make_unique<LogFile>(path, loop, main_log));
    const Status status = i < open.size() ? files_[i]->Share(open[i]) : files_[i]->Open();
    if (!status) {
      LIMPET_LOG(main_log, LogLevel::kAlert, "{}", status.error().message);
    }
  }
}

AccessLogs::~AccessLogs() = default;  // each file flushes itself

void AccessLogs::Write(Exchange& exchange) {
  const conf::LogSettings& settings = exchange.location().log;
  if (settings.access_off) return;
  for (const conf::AccessLog& log : settings.access_logs) {
    if (log.condition && !IsWanted(exchange, *log.condition)) continue;
    WriteTo(exchange, log, settings);
  }
}

void AccessLogs::WriteTo(Exchange& exchange, const conf::AccessLog& log,
                         const conf::LogSettings& settings) {
  line_.clear();
  FormatLogLine(exchange, http_.log_formats[static_cast<size_t>(log.format)], &line_);
  if (log.syslog) {
    if (LogTarget* const target = Syslog(log)) target->Write(log.syslog->severity, line_);
    return;
  }
  line_.push_back('\n');
  if (log.file < 0) return WriteToVariablePath(exchange, log, settings.file_cache);
  files_[static_cast<size_t>(log.file)]->Write(
      line_, {log.buffer, static_cast<uint64_t>(log.flush.count()), log.gzip_level});
}

namespace {

// Parts of a log's path come from clients: only sites that exist get logs.
bool HasSite(Exchange& exchange) {
  if (exchange.request().root_tested) return true;
  struct stat info {};
  const std::string root(DocumentRoot(exchange));
  const int errnum = ::stat(root.c_str(), &info) != 0 ? errno : S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
  if (errnum == 0) return true;
  exchange.Log(LogLevel::kError,
               fmt::format("testing \"{}\" existence failed{} while logging request", root,
                           ErrnoText(errnum)));
  return false;
}

}  // namespace

void AccessLogs::WriteToVariablePath(Exchange& exchange, const conf::AccessLog& log,
                                     const conf::OpenLogFileCache& cache) {
  if (!HasSite(exchange)) return;
  std::string path(exchange.Evaluate(log.path));
  if (path.empty() || path.back() == '/') return;
  if (IsUnsafePath(exchange, path, log.path.source())) return;
  if (path.front() != '/') path.insert(0, exchange.runtime().config.prefix);
  const uint64_t now = exchange.runtime().loop.NowMs();
  const LogFileCache::Failure failure = variable_files_.Write(path, line_, cache, now);
  if (failure.open != 0) {
    exchange.Log(LogLevel::kCrit, fmt::format("open() \"{}\" failed{} while logging request", path,
                                              ErrnoText(failure.open)));
  } else if (failure.write != 0 && variable_complaints_.Wants(now)) {
    exchange.Log(LogLevel::kAlert, fmt::format("write() to \"{}\" failed{} while logging request",
                                               path, ErrnoText(failure.write)));
  }
}

LogTarget* AccessLogs::Syslog(const conf::AccessLog& log) {
  const auto [it, is_new] = syslog_of_.try_emplace(&log, nullptr);
  if (!is_new) return it->second;
  LogTarget*& shared = syslog_[SyslogKey(log)];
  if (shared == nullptr) {
    if (auto opened = syslog_files_.OpenSyslog(*log.syslog)) {
      shared = *opened;
    } else {
      LIMPET_LOG(main_log_, LogLevel::kError, "{}", opened.error().message);
    }
  }
  return it->second = shared;
}

void AccessLogs::Reopen() {
  for (const auto& file : files_) {
    file->Flush();
    if (const Status status = file->Open(); !status) {
      LIMPET_LOG(main_log_, LogLevel::kEmerg, "{}", status.error().message);
    }
  }
  variable_files_.Clear();
}

void AccessLogs::FlushAll() {
  for (const auto& file : files_) file->Flush();
}

void WriteAccessLog(Exchange& exchange) {
  if (exchange.location().log.access_off) return;
  exchange.runtime().access_logs->Write(exchange);
}

}  // namespace limpet::worker
