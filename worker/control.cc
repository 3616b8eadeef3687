#include "worker/control.h"

#include <unistd.h>

#include <memory>

#include "base/clock.h"
#include "worker/geo/geo_store.h"
#include "worker/status/control.h"
#include "worker/token/token_store.h"

namespace limpet::worker {
namespace {

constexpr std::chrono::milliseconds kLockPatience{200};  // with workers that are only slow

ControlWords WordsOf(const ControlCommand& command) {
  return {command.words, command.deadline, command.move, command.dry_run};
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
                      .may_write = true};
  if (environment.geo != nullptr) source.geo = environment.geo->States();
  if (environment.tokens != nullptr) source.tokens = &environment.tokens->figures();
  for (size_t i = 0; i < http.upstreams.size(); ++i) {
    shm::PeerStates* const states =
        i < environment.peer_states.size() ? environment.peer_states[i] : nullptr;
    groups.push_back(std::make_unique<UpstreamGroup>(*http.upstreams[i], states, environment.slot));
    groups.back()->RequireChecks(environment.generation);
    source.upstreams.push_back(groups.back().get());
  }
  return ControlAnswer(source, line);
}

}  // namespace

// Not all is lost where a worker stands still: whoever asks is told, and may ask again.
std::string AnswerControl(const Environment& environment, std::string_view line) {
  std::string answer = ControlRefusal(503, "a worker stands still inside shared memory");
  const shm::LockPatience patience(kLockPatience);
  (void)shm::IfFree([&] { answer = Answer(environment, line); });
  return answer;
}

Result<std::string> ControlLine(const ControlCommand& command) {
  return ControlRequest(WordsOf(command));
}

ControlOutput ShowReply(const ControlCommand& command, std::string_view reply) {
  ControlText shown = ShowControlReply(WordsOf(command), reply, command.json);
  return {shown.good, std::move(shown.text)};
}

}  // namespace limpet::worker
