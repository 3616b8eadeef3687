#include "master/supervisor.h"

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "base/clock.h"

namespace limpet::master {
namespace {

constexpr uint64_t kFirstDelayMs = 100;  // doubled with each death before the beginning …
constexpr uint64_t kLongestDelayMs = 5000;

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
  seats_.assign(static_cast<size_t>(count), Seat{});
  LIMPET_LOG(hooks_.log(), LogLevel::kNotice, "start worker processes");
  for (int number = 0; number < count; ++number) Start(number, MonotonicMs());
}

int Supervisor::FreeSlot() const {
  std::array<bool, shm::kMaxWorkerSlots> taken{};
  for (const Worker& worker : workers_) taken[static_cast<size_t>(worker.slot)] = true;
  for (const int slot : slots_of_dead_) taken[static_cast<size_t>(slot)] = true;
  const auto free = std::ranges::find(taken, false);
  // More workers than slots: only figures of two of them mix.
  return free == taken.end() ? 0 : static_cast<int>(free - taken.begin());
}

void Supervisor::Start(int number, uint64_t now_ms) {
  const int slot = FreeSlot();
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(hooks_.run(number, slot));
  Seat& seat = seats_[static_cast<size_t>(number)];
  seat.start_at_ms.reset();
  if (pid < 0) {
    LIMPET_LOG(hooks_.log(), LogLevel::kAlert, "fork() failed while spawning \"worker process\"{}",
               ErrnoText(errno));
    seat.start_at_ms = now_ms + kLongestDelayMs;
    return;
  }
  LIMPET_LOG(hooks_.log(), LogLevel::kNotice, "start worker process {}", pid);
  workers_.push_back({pid, number, slot, generation_, now_ms});
}

void Supervisor::Send(Worker& worker, int signal) {
  if (::kill(worker.pid, signal) == 0 || errno == ESRCH) return;
  LIMPET_LOG(hooks_.log(), LogLevel::kAlert, "kill({}, {}) failed{}", worker.pid, signal,
             ErrnoText(errno));
}

void Supervisor::SignalAll(int signal) {
  for (Worker& worker : workers_) Send(worker, signal);
}

void Supervisor::QuitOthersThan(uint64_t generation) {
  for (Worker& worker : workers_) {
    if (worker.generation == generation || worker.ending) continue;
    worker.ending = true;
    Send(worker, SIGQUIT);
  }
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
