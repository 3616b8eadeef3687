// The master's part with its workers: started, replaced by those of the next generation, looked at,
// mourned.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "conf/most_workers.h"
#include "master/master.h"
#include "master/worker_process.h"

namespace limpet::master {
namespace {

constexpr uint64_t kSettleMs =
    100;  // new workers are at work before old ones turn connections away
constexpr uint64_t kBeginWithinMs = 1000;  // then it is said that they have not begun
constexpr uint64_t kLossEveryMs = 10'000;  // an alert of a lost worker, on the average
constexpr uint64_t kLossesAtOnce = 8;      // in a row
constexpr uint64_t kLookEveryMs = 1000;    // at the workers' pulses

static_assert(conf::kMostWorkers < int{shm::kMaxWorkerSlots}, "else a reload could start none");

// What a worker that has died had, as it told last. Before its slot is cleared.
std::string LossOf(const shm::WorkerCounters& worker) {
  const auto of = [](const std::atomic<int64_t>& gauge) {
    return static_cast<uint64_t>(std::max<int64_t>(gauge.load(std::memory_order_relaxed), 0));
  };
  const uint64_t requests = of(worker.writing) + of(worker.reading);
  const uint64_t connections = of(worker.active);
  return fmt::format("{} request{} under way and {} connection{}, which are lost", requests,
                     PluralEnding(requests), connections, PluralEnding(connections));
}

}  // namespace

Supervisor::Hooks Master::SupervisorHooks() {
  return {.run =
              [this, self = ::getpid()](int number, int slot) {
                control_.Forget();
                return RunWorker(*generation_, number, slot, self);
              },
          .had_begun = [this](int slot) { return BeatOf(slot) != 0; },
          .died = [this](int slot) { return shared_->ForgetWorker(slot); },
          .log = [this]() -> const Log& { return log(); },
          .lost = [this](auto how, const std::string& text, int slot) { OnLost(how, text, slot); },
          .other_died =
              [this](pid_t pid, int status) {
                if (!keeper_->Forget(pid, status)) OnOtherDeath(pid);
              }};
}

void Master::OnLost(shm::Incidents::Death how, const std::string& text, int slot) {
  shm::Counters& counters = *shared_->counters();
  const std::string rest = LossOf(counters.slots[static_cast<size_t>(slot)]);
  LIMPET_LOG(log(), LogLevel::kAlert, "that worker had {}; sessions are kept, others go on", rest);
  counters.incidents.worker_deaths[how].fetch_add(1, std::memory_order_relaxed);
  shared_->status()->mishaps.last_death_s.store(Now().seconds, std::memory_order_relaxed);
  // One after the other they would push all else off the list.
  const uint64_t now = MonotonicMs();
  if (losses_told_until_ms_ > now + kLossesAtOnce * kLossEveryMs) return;
  losses_told_until_ms_ = std::max(losses_told_until_ms_, now) + kLossEveryMs;
  const bool hung = how == shm::Incidents::kByWatchdog;
  counters.alerts.Add(LogLevel::kAlert, fmt::format("{} ({}; sessions are kept){}", text, rest,
                                                    hung ? ": its event loop stood still" : ""));
}

void Master::StartWorkers() {
  if (!supervisor_) supervisor_.emplace(SupervisorHooks());
  supervisor_->StartGeneration(generation_->number(), generation_->config().worker_processes);
}

// Those of earlier generations end when the new ones serve.
void Master::ReplaceWorkers() {
  StartWorkers();
  const uint64_t now = MonotonicMs();
  retire_at_ms_ = now + kSettleMs;
  tell_unreplaced_at_ms_ = now + kBeginWithinMs;
}

// A new worker may not get a process, or may end before it serves: until there is one the old ones
// go on.
void Master::RetireWorkers(uint64_t now) {
  retire_at_ms_.reset();
  if (supervisor_->QuitReplaced(now)) {
    if (tell_unreplaced_at_ms_ == UINT64_MAX) service_manager_.SetStatus(StatusLine());
    return;
  }
  retire_at_ms_ = now + kSettleMs;
  if (now < tell_unreplaced_at_ms_) return;
  tell_unreplaced_at_ms_ = UINT64_MAX;
  const std::string text = fmt::format(
      "workers of configuration {} have not begun to serve, those of the one before go on until "
      "they do",
      generation_->number());
  LIMPET_LOG(log(), LogLevel::kAlert, "{}", text);
  shared_->counters()->alerts.Add(LogLevel::kAlert, text);
  service_manager_.SetStatus(text);
}

void Master::LookAtWorkers(uint64_t now) {
  look_at_ms_ = now + kLookEveryMs;
  supervisor_->Watch(*shared_->pulses(),
                     static_cast<uint64_t>(generation_->config().worker_watchdog.count()), now);
  alerts_.Check(*shared_->counters(), *shared_->pulses(), now, log());
  shared_->SampleTraffic(now);
  if (!handover_.predecessor_lives()) shared_->RemoveLeft(log());
}

// 0: the worker has not begun to serve.
uint64_t Master::BeatOf(int slot) const {
  return shared_->pulses()->slots[static_cast<size_t>(slot)].beat_ms.load(
      std::memory_order_relaxed);
}

}  // namespace limpet::master
