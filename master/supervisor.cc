#include "master/supervisor.h"

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "base/sanitizer.h"

namespace limpet::master {
namespace {

constexpr uint64_t kFirstDelayMs = 100;  // doubled with each death before the beginning …
constexpr uint64_t kLongestDelayMs = 5000;
constexpr uint64_t kLongestForkDelayMs = 1000;  // processes come and go
constexpr uint64_t kSlotDelayMs = 100;          // until slots are looked for again
constexpr uint64_t kAcceptsWithinMs = 1200;     // a worker's patience with the generation before

std::string DescribeDeath(pid_t pid, int status) {
  if (WIFEXITED(status)) {
    return fmt::format("worker process {} exited with code {}", pid, WEXITSTATUS(status));
  }
  return fmt::format("worker process {} exited on signal {}{}", pid, WTERMSIG(status),
                     WCOREDUMP(status) ? " (core dumped)" : "");
}

}  // namespace

uint64_t RespawnDelay::AfterDeath(bool had_begun) {
  if (had_begun) {
    deaths_before_beginning_ = 0;
    return 0;
  }
  const int deaths = deaths_before_beginning_++;
  if (deaths == 0) return 0;  // once may be an accident
  return std::min(kFirstDelayMs << std::min(deaths - 1, 16), kLongestDelayMs);
}

void Supervisor::StartGeneration(uint64_t generation, int count) {
  generation_ = generation;
  told_crowded_ = false;
  seats_.assign(static_cast<size_t>(count), Seat{});
  LIMPET_LOG(hooks_.log(), LogLevel::kNotice, "start worker processes");
  for (int number = 0; number < count; ++number) Start(number, MonotonicMs());
}

// What a worker counts in its slot is undone when it dies: no other may have the same.
std::optional<int> Supervisor::FreeSlot() const {
  std::array<bool, shm::kMaxWorkerSlots> taken{};
  for (const Worker& worker : workers_) taken[static_cast<size_t>(worker.slot)] = true;
  for (const int slot : slots_of_dead_) taken[static_cast<size_t>(slot)] = true;
  const auto free = std::ranges::find(taken, false);
  if (free == taken.end()) return std::nullopt;
  return static_cast<int>(free - taken.begin());
}

void Supervisor::WaitForSlot(Seat& seat, uint64_t now_ms) {
  seat.start_at_ms = now_ms + kSlotDelayMs;
  if (std::exchange(told_crowded_, true)) return;
  LIMPET_LOG(hooks_.log(), LogLevel::kWarn,
             "{} workers run, which is the most there may be: more are started as workers of "
             "earlier configurations end",
             workers_.size());
}

void Supervisor::Start(int number, uint64_t now_ms) {
  Seat& seat = seats_[static_cast<size_t>(number)];
  const std::optional<int> slot = FreeSlot();
  if (!slot) return WaitForSlot(seat, now_ms);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int status = hooks_.run(number, *slot);
    LookForLeaks();
    ::_exit(status);
  }
  if (pid < 0) {
    LIMPET_LOG(hooks_.log(), LogLevel::kAlert, "fork() failed while spawning \"worker process\"{}",
               ErrnoText(errno));
    const int doublings = std::min(seat.failed_forks++, 16);
    seat.start_at_ms = now_ms + std::min(kFirstDelayMs << doublings, kLongestForkDelayMs);
    return;
  }
  seat.start_at_ms.reset();
  seat.failed_forks = 0;
  LIMPET_LOG(hooks_.log(), LogLevel::kNotice, "start worker process {}", pid);
  workers_.push_back({pid, number, *slot, generation_, now_ms});
}

void Supervisor::Send(Worker& worker, int signal) {
  if (::kill(worker.pid, signal) == 0 || errno == ESRCH) return;
  LIMPET_LOG(hooks_.log(), LogLevel::kAlert, "kill({}, {}) failed{}", worker.pid, signal,
             ErrnoText(errno));
}

void Supervisor::SignalAll(int signal) {
  for (Worker& worker : workers_) Send(worker, signal);
}

bool Supervisor::AllHaveBegun() const {
  const auto begun = std::ranges::count_if(workers_, [this](const Worker& worker) {
    return worker.generation == generation_ && hooks_.had_begun(worker.slot);
  });
  return static_cast<size_t>(begun) >= seats_.size();
}

// A number that the present generation does not have may be anybody's.
bool Supervisor::IsReplaced(const Worker& old, uint64_t now_ms) const {
  const bool any = static_cast<size_t>(old.number) >= seats_.size();
  return std::ranges::any_of(workers_, [&](const Worker& worker) {
    return worker.generation == generation_ && (any || worker.number == old.number) &&
           hooks_.had_begun(worker.slot) && now_ms >= worker.started_ms + kAcceptsWithinMs;
  });
}

bool Supervisor::QuitReplaced(uint64_t now_ms) {
  const bool whole = AllHaveBegun();
  bool all = true;
  for (Worker& worker : workers_) {
    if (worker.generation == generation_ || worker.ending) continue;
    worker.ending = whole || IsReplaced(worker, now_ms);
    if (worker.ending) Send(worker, SIGQUIT);
    all &= worker.ending;
  }
  return all;
}

void Supervisor::Stop(int signal) {
  seats_.clear();
  for (Worker& worker : workers_) {
    worker.ending = true;
    Send(worker, signal);
  }
}

void Supervisor::Kill() {
  for (Worker& worker : workers_) worker.killed = true;
  SignalAll(SIGKILL);
}

// Who was killed because it did not stop is no loss, nor is who ended as it should.
void Supervisor::Mourn(const Worker& dead, int status) {
  const bool by_signal = WIFSIGNALED(status);
  const std::string text = DescribeDeath(dead.pid, status);
  LIMPET_LOG(hooks_.log(), by_signal ? LogLevel::kAlert : LogLevel::kNotice, "{}", text);
  if (dead.hanging) return hooks_.lost(shm::Incidents::kByWatchdog, text, dead.slot);
  if (by_signal && !dead.killed) return hooks_.lost(shm::Incidents::kBySignal, text, dead.slot);
  if (!by_signal && WEXITSTATUS(status) != 0) hooks_.lost(shm::Incidents::kByExit, text, dead.slot);
}

bool Supervisor::HasWorkersOf(uint64_t generation) const {
  return std::ranges::find(workers_, generation, &Worker::generation) != workers_.end();
}

void Supervisor::Reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    OnDeath(pid, status);
  }
}

void Supervisor::OnDeath(pid_t pid, int status) {
  const auto found =
      std::ranges::find_if(workers_, [&](const Worker& worker) { return worker.pid == pid; });
  if (found == workers_.end()) return hooks_.other_died(pid, status);
  const Worker dead = *found;
  workers_.erase(found);
  Mourn(dead, status);
  const bool had_begun = hooks_.had_begun(dead.slot);
  if (!hooks_.died(dead.slot)) slots_of_dead_.push_back(dead.slot);
  if (dead.ending || dead.generation != generation_) return;
  if (static_cast<size_t>(dead.number) >= seats_.size()) return;
  const uint64_t now = MonotonicMs();
  Seat& seat = seats_[static_cast<size_t>(dead.number)];
  const uint64_t delay = seat.delay.AfterDeath(had_begun);
  seat.start_at_ms = now + delay;
  if (delay == 0) return;
  LIMPET_LOG(hooks_.log(), LogLevel::kError, "worker {} keeps dying, it is started again in {} ms",
             dead.number, delay);
}

void Supervisor::Watch(const shm::WorkerPulses& pulses, uint64_t limit_ms, uint64_t now_ms) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  std::vector<Watchdog::Seen> seen;
  for (const Worker& worker : workers_) {
    const shm::WorkerPulse& pulse = pulses.slots[static_cast<size_t>(worker.slot)];
    seen.push_back({worker.pid, pulse.beat_ms.load(kRelaxed), pulse.waits.load(kRelaxed) != 0});
  }
  for (const Watchdog::Verdict& verdict : watchdog_.Check(seen, limit_ms, now_ms)) {
    const auto worker = std::ranges::find(workers_, verdict.pid, &Worker::pid);
    if (worker == workers_.end()) continue;
    const bool abort = verdict.order == Watchdog::Order::kAbort;
    worker->hanging = true;
    LIMPET_LOG(hooks_.log(), LogLevel::kAlert,
               "the event loop of worker process {} has not turned for {} s, it is ended with {}",
               verdict.pid, verdict.still_ms / 1000, abort ? "SIGABRT" : "SIGKILL");
    Send(*worker, abort ? SIGABRT : SIGKILL);
    // Who was stopped from outside would die only when it goes on: what it holds (the lease of a
    // group's checks, of names) waits for its death.
    if (abort) Send(*worker, SIGCONT);
  }
}

void Supervisor::FreeSlotsOfDead() {
  std::erase_if(slots_of_dead_, [this](int slot) { return hooks_.died(slot); });
}

void Supervisor::Tick(uint64_t now_ms) {
  FreeSlotsOfDead();
  for (size_t i = 0; i < seats_.size(); ++i) {
    if (seats_[i].start_at_ms && *seats_[i].start_at_ms <= now_ms) {
      Start(static_cast<int>(i), now_ms);
    }
  }
}

std::optional<uint64_t> Supervisor::NextDeadline() const {
  std::optional<uint64_t> next;
  for (const Seat& seat : seats_) {
    if (seat.start_at_ms) next = std::min(next.value_or(UINT64_MAX), *seat.start_at_ms);
  }
  return next;
}

}  // namespace limpet::master
