// The session table beside its baseline, forked processes over one mapping. Google Benchmark names,
// repeats and filters the cases; main() prints the ratios. LIMPET_BENCH_SESSIONS sets the size
// (default 1,000,000 slots, as in the design).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>

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

uint32_t Slots() {
  const char* text = std::getenv("LIMPET_BENCH_SESSIONS");
  return text != nullptr ? static_cast<uint32_t>(std::atoi(text)) : 1'000'000;
}

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
struct Pair {
  Outcome table, baseline;
};
std::map<Case, Pair> g_results;

void Run(benchmark::State& state, Case c, bool baseline) {
  for (auto _ : state) {
    const Outcome outcome = baseline ? Measure<BaselineStore>(c.mix, c.processes, c.fill, c.zipf)
                                     : Measure<TableStore>(c.mix, c.processes, c.fill, c.zipf);
    state.SetIterationTime(kSeconds);
    state.counters["Mops/s"] = outcome.ops_per_second / 1e6;
    state.counters["p99.9_us"] = outcome.p999_us;
    (baseline ? g_results[c].baseline : g_results[c].table) = outcome;
  }
}

void Register(Case c) {
  for (const bool baseline : {true, false}) {
    const std::string name = fmt::format(
        "{}/{}/{} processes/{}% full/{}", kMixNames[static_cast<int>(c.mix)],
        baseline ? "trees" : "limpet", c.processes, c.fill, c.zipf ? "zipf" : "uniform");
    benchmark::RegisterBenchmark(name.c_str(), Run, c, baseline)->Iterations(1)->UseManualTime();
  }
}

void RegisterAll() {
  for (const int processes : {1, 2, 4}) Register({Mix::kHit, processes, 90, false});
  for (const int fill : {50, 80}) Register({Mix::kHit, 2, fill, false});
  Register({Mix::kHit, 2, 90, true});
  Register({Mix::kMiss, 2, 90, false});
  Register({Mix::kMixed, 2, 90, false});
  Register({Mix::kRotate, 1, 90, false});
  Register({Mix::kRotate, 2, 90, false});
}

void PrintTable() {
  fmt::print("\n{:<14} {:>5} {:>5} {:>8} {:>13} {:>14} {:>7} {:>22}\n", "work", "procs", "full",
             "keys", "trees Mops/s", "limpet Mops/s", "times", "p99.9 us (trees, ours)");
  for (const auto& [c, pair] : g_results) {
    fmt::print("{:<14} {:>5} {:>4}% {:>8} {:>13.2f} {:>14.2f} {:>7.1f} {:>12.2f} {:>9.2f}\n",
               kMixNames[static_cast<int>(c.mix)], c.processes, c.fill, c.zipf ? "zipf" : "uniform",
               pair.baseline.ops_per_second / 1e6, pair.table.ops_per_second / 1e6,
               pair.table.ops_per_second / pair.baseline.ops_per_second, pair.baseline.p999_us,
               pair.table.p999_us);
  }
}

}  // namespace
}  // namespace limpet::shm

int main(int argc, char** argv) {
  limpet::shm::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  limpet::shm::PrintTable();
}
