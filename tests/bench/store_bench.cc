// The session table beside its baseline, forked processes over one mapping each. Google Benchmark
// names and filters the cases; every case measures both stores in turn, several times, and main()
// prints the medians and their ratios. LIMPET_BENCH_SESSIONS sets the size (default 1,000,000), and
// LIMPET_BENCH_ROUNDS how often (default 3).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "shm/session_table.h"
#include "tests/bench/forked.h"
#include "tests/bench/tree_store.h"

namespace limpet::shm {
namespace {

using bench::Forked;
using bench::Outcome;

enum class Mix { kHit, kMiss, kMixed, kRotate };
constexpr const char* kMixNames[] = {"hit+touch", "miss", "95/5 mixed", "insert+rotate"};
constexpr double kSeconds = 0.7;
constexpr uint64_t kKeysPerProcess = 1 << 20;

int Setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::max(std::atoi(text), 1) : otherwise;
}
uint32_t Slots() { return static_cast<uint32_t>(Setting("LIMPET_BENCH_SESSIONS", 1'000'000)); }

// A key is made by mixing, not by hashing text: both stores get it ready, so that only they are
// measured.
Digest128 KeyFor(uint64_t n) {
  uint64_t h = (n + 1) * 0x9E37'79B9'7F4A'7C15;
  h = (h ^ h >> 30) * 0xBF58'476D'1CE4'E5B9;
  h = (h ^ h >> 27) * 0x94D0'49BB'1331'11EB;
  return {h ^ h >> 31, h * 0xD6E8'FEB8'6659'FD93};
}

uint64_t NowMs() { return bench::NowNs() / 1'000'000; }

class TableStore {
 public:
  explicit TableStore(uint32_t slots)
      : bytes_(slots * size_t{27}), memory_(bench::SharedMemory(bytes_)) {
    table_ = SessionTable::Format(memory_, bytes_);
    table_.PeerIndex("peer");
  }
  ~TableStore() { ::munmap(memory_, bytes_); }
  TableStore(const TableStore&) = delete;
  TableStore& operator=(const TableStore&) = delete;
  uint64_t capacity() const { return table_.Capacity(); }
  void Attach(int process) {
    table_.AttachWorker(process);
    bench::Populate(memory_, bytes_);
  }
  void Lookup(const Digest128& key, uint64_t now) {
    benchmark::DoNotOptimize(table_.Lookup({key}, now));
  }
  void Learn(const Digest128& key, uint64_t now) { table_.Learn({key}, 0, now); }

 private:
  size_t bytes_;
  std::byte* memory_;
  SessionTable table_;
};

class BaselineStore {
 public:
  explicit BaselineStore(uint32_t slots)
      : bytes_(TreeStore::BytesFor(slots)),
        memory_(bench::SharedMemory(bytes_)),
        store_(TreeStore::Create(memory_, slots)),
        slots_(slots) {}
  ~BaselineStore() { ::munmap(memory_, bytes_); }
  BaselineStore(const BaselineStore&) = delete;
  BaselineStore& operator=(const BaselineStore&) = delete;
  uint64_t capacity() const { return slots_; }
  void Attach(int) { bench::Populate(memory_, bytes_); }
  void Lookup(const Digest128& key, uint64_t now) {
    benchmark::DoNotOptimize(store_->Lookup(key, now));
  }
  void Learn(const Digest128& key, uint64_t now) { store_->Learn(key, 0, now); }

 private:
  size_t bytes_;
  std::byte* memory_;
  TreeStore* store_;
  uint32_t slots_;
};

// Zipf with exponent 1, near enough: the logarithm of the rank is uniform.
uint64_t Pick(uint64_t random, uint64_t n, bool zipf) {
  if (!zipf) return (random >> 32) * n >> 32;
  const double u = static_cast<double>(random >> 11) * 0x1p-53;
  return static_cast<uint64_t>(std::exp(u * std::log(static_cast<double>(n)))) % n;
}

template <class Store>
Outcome Measure(Mix mix, int processes, int fill_percent, bool zipf) {
  Store store(Slots());
  const uint64_t fill = mix == Mix::kRotate
                            ? store.capacity()
                            : store.capacity() * static_cast<uint64_t>(fill_percent) / 100;
  for (uint64_t i = 0; i < fill; ++i) store.Learn(KeyFor(i), NowMs());

  // The draws are made ahead, in memory that the processes share: exp() is not what is measured.
  const auto* picks = reinterpret_cast<uint32_t*>(bench::SharedMemory(kKeysPerProcess * 4));
  std::mt19937_64 random(7);
  for (uint64_t i = 0; i < kKeysPerProcess; ++i) {
    const_cast<uint32_t*>(picks)[i] = static_cast<uint32_t>(Pick(random(), fill, zipf));
  }
  uint64_t now = NowMs();
  const auto prepare = [&](int process) { store.Attach(process); };
  const auto work = [&](int process, uint64_t i) {
    if (i % 64 == 0) now = NowMs();  // as an event loop does
    const auto p = static_cast<uint64_t>(process);
    const uint64_t fresh = fill + (p + 1) * 1'000'000'000 + i;
    const uint64_t known = picks[(i + p * 7919 * 13) % kKeysPerProcess];
    if (mix == Mix::kRotate || (mix == Mix::kMixed && i % 20 == 0))
      return store.Learn(KeyFor(fresh), now);
    store.Lookup(KeyFor(mix == Mix::kMiss ? fresh : known), now);
  };
  Forked forked;
  const Outcome outcome = forked.Run(processes, kSeconds, prepare, work);
  ::munmap(const_cast<uint32_t*>(picks), kKeysPerProcess * 4);
  return outcome;
}

struct Case {
  Mix mix;
  int processes;
  int fill;
  bool zipf;
  auto operator<=>(const Case&) const = default;
};
struct Rounds {
  std::vector<Outcome> table, baseline;
};
std::map<Case, Rounds> g_results;

Outcome Median(const std::vector<Outcome>& rounds) {
  std::vector<double> speed, p999;
  for (const Outcome& round : rounds) {
    speed.push_back(round.ops_per_second);
    p999.push_back(round.p999_us);
  }
  std::sort(speed.begin(), speed.end());
  std::sort(p999.begin(), p999.end());
  return {speed[speed.size() / 2], p999[p999.size() / 2]};
}

void Run(benchmark::State& state, Case c) {
  Rounds& rounds = g_results[c];
  for (auto _ : state) {
    rounds.baseline.push_back(Measure<BaselineStore>(c.mix, c.processes, c.fill, c.zipf));
    rounds.table.push_back(Measure<TableStore>(c.mix, c.processes, c.fill, c.zipf));
    state.SetIterationTime(2 * kSeconds);
  }
  state.counters["trees_Mops/s"] = Median(rounds.baseline).ops_per_second / 1e6;
  state.counters["limpet_Mops/s"] = Median(rounds.table).ops_per_second / 1e6;
}

void Register(Case c) {
  const std::string name =
      fmt::format("{}/{} processes/{}% full/{}", kMixNames[static_cast<int>(c.mix)], c.processes,
                  c.fill, c.zipf ? "zipf" : "uniform");
  benchmark::RegisterBenchmark(name.c_str(), Run, c)
      ->Iterations(Setting("LIMPET_BENCH_ROUNDS", 3))
      ->UseManualTime();
}

void RegisterAll() {
  for (const int processes : {1, 2, 4}) {
    for (const int fill : {50, 80, 90}) {
      for (const bool zipf : {false, true}) Register({Mix::kHit, processes, fill, zipf});
    }
    Register({Mix::kMiss, processes, 90, false});
    Register({Mix::kMixed, processes, 90, false});
    Register({Mix::kRotate, processes, 100, false});
  }
}

void PrintTable() {
  fmt::print("\n{:<14} {:>5} {:>5} {:>8} {:>13} {:>14} {:>7} {:>22}\n", "work", "procs", "full",
             "keys", "trees Mops/s", "limpet Mops/s", "times", "p99.9 us (trees, ours)");
  for (const auto& [c, rounds] : g_results) {
    const Outcome trees = Median(rounds.baseline);
    const Outcome table = Median(rounds.table);
    fmt::print("{:<14} {:>5} {:>4}% {:>8} {:>13.2f} {:>14.2f} {:>7.1f} {:>12.2f} {:>9.2f}\n",
               kMixNames[static_cast<int>(c.mix)], c.processes, c.fill, c.zipf ? "zipf" : "uniform",
               trees.ops_per_second / 1e6, table.ops_per_second / 1e6,
               table.ops_per_second / trees.ops_per_second, trees.p999_us, table.p999_us);
  }
}

// All sessions of a full table expire at once: how long each step of collecting them takes, which
// is how long a lock is held at most. In processor time too: the rest is other processes' work.
void PrintCollecting() {
  const size_t bytes = Slots() * size_t{28};
  std::byte* memory = bench::SharedMemory(bytes);
  SessionTable table = SessionTable::Format(memory, bytes);
  const uint16_t peer = table.PeerIndex("peer");
  for (uint64_t i = 0; table.Live() < Slots(); ++i) table.Learn({KeyFor(i)}, peer, 1'000'000);
  std::vector<uint64_t> wall, cpu;
  uint64_t collected = 0;
  for (CollectResult step{0, true}; step.more; collected += step.collected) {
    const uint64_t cpu_begin = bench::NowNs(CLOCK_THREAD_CPUTIME_ID);
    const uint64_t begin = bench::NowNs();
    step = table.CollectStep(1'000'000 + 601'000);
    wall.push_back(bench::NowNs() - begin);
    cpu.push_back(bench::NowNs(CLOCK_THREAD_CPUTIME_ID) - cpu_begin);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  fmt::print(
      "\ncollecting {} expired sessions: {} steps, longest {:.1f} us of processor time "
      "({:.1f} us by the clock), p99.9 {:.1f} us ({:.1f} us)\n",
      collected, wall.size(), static_cast<double>(cpu.back()) / 1e3,
      static_cast<double>(wall.back()) / 1e3,
      static_cast<double>(cpu[cpu.size() * 999 / 1000]) / 1e3,
      static_cast<double>(wall[wall.size() * 999 / 1000]) / 1e3);
  ::munmap(memory, bytes);
}

}  // namespace
}  // namespace limpet::shm

int main(int argc, char** argv) {
  limpet::shm::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  limpet::shm::PrintTable();
  limpet::shm::PrintCollecting();
}
