// Runs one piece of work in several processes at once over shared memory, for a fixed time, and
// adds up what they did.
#pragma once

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

namespace limpet::bench {

inline uint64_t NowNs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(ts.tv_nsec);
}

inline std::byte* SharedMemory(size_t bytes) {
  void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) std::abort();
  return static_cast<std::byte*>(p);
}

// Maps all pages into this process, so that no page fault is measured.
inline void Populate(std::byte* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4096) {
    std::atomic_ref(*reinterpret_cast<char*>(memory + i)).fetch_add(0);
  }
}

struct Outcome {
  double ops_per_second = 0;
  double p999_us = 0;  // of single operations, one in 64 timed
};

class Forked {
 public:
  static constexpr int kMaxProcesses = 8;
  static constexpr int kSamples = 1 << 16;

  Forked() : shared_(new (SharedMemory(sizeof(Shared))) Shared) {}
  ~Forked() { ::munmap(shared_, sizeof *shared_); }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;

  // Each process calls prepare(process) first, unmeasured; work(process, i) does operation i.
  template <class Prepare, class Work>
  Outcome Run(int processes, double seconds, const Prepare& prepare, const Work& work) {
    shared_->go = 0;
    shared_->ready = 0;
    for (int p = 0; p < processes; ++p) {
      if (::fork() == 0) {
        prepare(p);
        ++shared_->ready;
        while (shared_->go == 0) ::sched_yield();
        Loop(shared_->results[p], p, seconds, work);
        ::_exit(0);
      }
    }
    while (shared_->ready < processes) ::sched_yield();
    shared_->go = 1;
    while (::wait(nullptr) > 0) {
    }
    return Sum(processes);
  }

 private:
  struct Result {
    uint64_t ops, ns;
    uint32_t samples;
    uint32_t sample_ns[kSamples];
  };
  struct Shared {
    std::atomic<int> go, ready;
    Result results[kMaxProcesses];
  };

  template <class Work>
  static void Loop(Result& result, int process, double seconds, const Work& work) {
    const uint64_t begin = NowNs();
    const uint64_t end = begin + static_cast<uint64_t>(seconds * 1e9);
    result.samples = 0;
    uint64_t i = 0;
    for (uint64_t now = begin; now < end; now = NowNs()) {
      for (int k = 0; k < 63; ++k) work(process, i++);
      const uint64_t before = NowNs();
      work(process, i++);
      const uint64_t took = NowNs() - before;
      result.sample_ns[result.samples++ % kSamples] = static_cast<uint32_t>(took);
    }
    result.ops = i;
    result.ns = NowNs() - begin;
  }

  Outcome Sum(int processes) const {
    Outcome sum;
    std::vector<uint32_t> samples;
    for (int p = 0; p < processes; ++p) {
      const Result& r = shared_->results[p];
      sum.ops_per_second += static_cast<double>(r.ops) * 1e9 / static_cast<double>(r.ns);
      samples.insert(samples.end(), r.sample_ns,
                     r.sample_ns + std::min<uint32_t>(r.samples, kSamples));
    }
    std::sort(samples.begin(), samples.end());
    if (!samples.empty()) sum.p999_us = samples[samples.size() * 999 / 1000] / 1e3;
    return sum;
  }

  Shared* shared_;
};

}  // namespace limpet::bench
