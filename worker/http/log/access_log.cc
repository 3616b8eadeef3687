#include "worker/http/log/access_log.h"

#include <sys/stat.h>

#include <cerrno>

#include "conf/all_locations.h"
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
    : http_(http), loop_(loop), main_log_(main_log) {
  for (const std::string& path : http.access_log_files) {
    const size_t i = files_.size();
    files_.push_back(std::make_unique<LogFile>(path, loop, main_log));
    const Status status = i < open.size() ? files_[i]->Share(open[i]) : files_[i]->Open();
    if (!status) {
      LIMPET_LOG(main_log, LogLevel::kAlert, "{}", status.error().message);
    }
  }
  FindBuffering();
}

void AccessLogs::FindBuffering() {
  buffering_.resize(files_.size());
  for (const conf::Location* location : conf::AllLocations(http_)) {
    for (const conf::AccessLog& log : location->log.access_logs) {
      if (log.file < 0 || log.buffer == 0) continue;
      buffering_[static_cast<size_t>(log.file)] = {
          log.buffer, static_cast<uint64_t>(log.flush.count()), log.gzip_level};
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
  if (log.syslog) return WriteToSyslog(log);
  line_.push_back('\n');
  if (log.file < 0) return WriteToVariablePath(exchange, log, settings.file_cache);
  const auto file = static_cast<size_t>(log.file);
  files_[file]->Write(line_, buffering_[file]);
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

AccessLogs::SyslogServer& AccessLogs::ServerOf(const conf::AccessLog& log) {
  SyslogServer*& known = syslog_of_[&log];
  if (known != nullptr) return *known;
  const auto [it, is_new] = syslog_.try_emplace(SyslogKey(log));
  if (is_new) {
    if (auto server = Syslog::To(*log.syslog)) {
      it->second.server = std::move(*server);
    } else {
      LIMPET_LOG(main_log_, LogLevel::kError, "{}", server.error().message);
    }
  }
  return *(known = &it->second);
}

void AccessLogs::WriteToSyslog(const conf::AccessLog& log) {
  SyslogServer& to = ServerOf(log);
  if (!to.server) return;
  const Syslog::Sent sent = to.server->Send(log.syslog->severity, line_);
  if (sent.errnum == 0 || !to.complaints.Wants(loop_.NowMs())) return;
  LIMPET_LOG(main_log_, LogLevel::kError, "{} failed{} while logging to syslog, server: {}",
             sent.call, ErrnoText(sent.errnum), log.syslog->server);
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
