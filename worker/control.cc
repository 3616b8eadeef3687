#include "worker/control.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "worker/geo/geo_store.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/explain.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"
#include "worker/status/commands.h"
#include "worker/status/control.h"
#include "worker/tls_store.h"
#include "worker/token/token_store.h"

namespace limpet::worker {
namespace {

constexpr std::chrono::milliseconds kLockPatience{200};  // with workers that are only slow

ControlWords WordsOf(const ControlCommand& command) {
  return {command.words, command.deadline, command.move, command.dry_run};
}

std::span<const CertificateEnd> CertificateEndsOf(const Environment& environment) {
  if (environment.tls == nullptr) return {};
  return environment.tls->certificates;
}

// The upstreams as a worker has them, for as long as one question. No loop turns: nothing is sent.
StatusReply ExplainHere(const Environment& environment, std::string_view args) {
  if (environment.config->http == nullptr) return ApiError(404, "no such upstream");
  Loop loop;
  BlockPool blocks;
  SplicePipes pipes;
  shm::WorkerCounters own;
  Runtime runtime{.config = *environment.config,
                  .http = *environment.config->http,
                  .loop = loop,
                  .blocks = blocks,
                  .pipes = pipes,
                  .logs = *environment.logs,
                  .counters = *environment.counters,
                  .own_counters = own,
                  .sessions = environment.sessions,
                  .stores = environment.stores,
                  .generation = environment.generation,
                  .slot = environment.slot};
  for (size_t i = 0; i < runtime.http.upstreams.size(); ++i) {
    const conf::Upstream& conf = *runtime.http.upstreams[i];
    shm::PeerStates* const states =
        i < environment.peer_states.size() ? environment.peer_states[i] : nullptr;
    const int zone = conf.sticky.kind == conf::StickyKind::kLearn ? conf.sticky.learn.zone : -1;
    StickySessions sessions;
    if (const auto at = static_cast<size_t>(zone); zone >= 0 && at < environment.sessions.size())
      sessions = {&runtime.http.session_zones[at], environment.sessions[at], nullptr};
    runtime.upstreams.push_back(
        std::make_unique<UpstreamRuntime>(loop, conf, states, environment.slot, sessions));
  }
  return Explain(runtime, args);
}

std::string Answer(const Environment& environment, std::string_view line) {
  static const conf::Http empty;
  const conf::Http& http = environment.config->http ? *environment.config->http : empty;
  std::vector<std::unique_ptr<UpstreamGroup>> groups;
  StatusSource source{.http = http,
                      .counters = *environment.counters,
                      .sessions = environment.sessions,
                      .stores = environment.stores,
                      .upstreams = {},
                      .generation = environment.generation,
                      .now_ms = MonotonicMs(),
                      .master_pid = ::getpid(),
                      .may_write = true,
                      .pulses = environment.pulses,
                      .status = environment.status,
                      .traffic_places = environment.traffic_places,
                      .status_zones = environment.status_zones,
                      .limit_req = environment.limit_req,
                      .limit_conn = environment.limit_conn,
                      .certificate_ends = CertificateEndsOf(environment)};
  if (environment.geo != nullptr) source.geo = environment.geo->States();
  if (environment.tokens != nullptr) source.tokens = &environment.tokens->figures();
  for (size_t i = 0; i < http.upstreams.size(); ++i) {
    shm::PeerStates* const states =
        i < environment.peer_states.size() ? environment.peer_states[i] : nullptr;
    groups.push_back(std::make_unique<UpstreamGroup>(*http.upstreams[i], states, environment.slot));
    source.upstreams.push_back(groups.back().get());
  }
  const auto explain = [&environment](std::string_view args) {
    return ExplainHere(environment, args);
  };
  return ControlAnswer(source, line, explain);
}

}  // namespace

// Not all is lost where a worker stands still: whoever asks is told, and may ask again.
std::string AnswerControl(const Environment& environment, std::string_view line) {
  std::string answer = ControlRefusal(503, "a worker stands still inside shared memory");
  const shm::LockPatience patience(kLockPatience);
  (void)shm::IfFree([&] { answer = Answer(environment, line); });
  return answer;
}

std::string CommandList() {
  constexpr size_t kWidth = 26;
  std::string list;
  for (const CommandRow& row : Commands()) {
    std::string words = fmt::format("{} {}", row.name, row.words.substr(0, row.words.find(" [--")));
    if (words.size() > kWidth) words.resize(std::min(words.size(), words.find(" [")));
    list += fmt::format("  {:<{}}: {}\n", words, kWidth, row.brief);
  }
  return list;
}

bool IsCommand(std::string_view word) { return FindCommand(word) != nullptr; }

std::vector<std::string_view> CommandNames() {
  std::vector<std::string_view> names;
  for (const CommandRow& row : Commands()) names.push_back(row.name);
  return names;
}

std::string CommandHelp(std::string_view name) {
  const CommandRow* const row = FindCommand(name);
  return row == nullptr ? "" : HelpOf(*row);
}

bool OnlyReads(std::string_view name) {
  const CommandRow* const row = FindCommand(name);
  return row != nullptr && Reads(*row);
}

Result<std::string> ControlLine(const ControlCommand& command) {
  return ControlRequest(WordsOf(command));
}

ControlOutput ShowReply(const ControlCommand& command, std::string_view reply) {
  ControlText shown = ShowControlReply(WordsOf(command), reply, command.json);
  return {shown.good, std::move(shown.text)};
}

}  // namespace limpet::worker
