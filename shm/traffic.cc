#include "shm/traffic.h"

#include <numeric>

namespace limpet::shm {
namespace {

template <size_t N>
void AddTo(std::array<uint64_t, N>& sums, const std::array<uint64_t, N>& counters) {
  for (size_t i = 0; i < N; ++i) sums[i] += LoadRelaxed(counters[i]);
}

template <size_t N>
uint64_t Total(const std::array<uint64_t, N>& counters) {
  return std::accumulate(counters.begin(), counters.end(), uint64_t{0});
}

}  // namespace

uint64_t TrafficSums::requests() const { return Total(by_sticky); }
uint64_t TrafficSums::timed() const { return Total(by_time); }

double TrafficSums::PercentileMs(double percent) const {
  const double wanted = static_cast<double>(timed()) * percent / 100;
  double below = 0;
  for (size_t i = 0; i < by_time.size(); ++i) {
    const auto here = static_cast<double>(by_time[i]);
    if (here == 0 || below + here < wanted) {
      below += here;
      continue;
    }
    const double from = i == 0 ? 0 : kBoundsMs[i - 1];
    if (i == kBoundsMs.size()) return from;  // longer, nobody knows how much
    return from + (kBoundsMs[i] - from) * (wanted - below) / here;
  }
  return 0;
}

TrafficSums& TrafficSums::operator+=(const TrafficSums& other) {
  AddTo(by_sticky, other.by_sticky);
  AddTo(by_class, other.by_class);
  AddTo(by_time, other.by_time);
  time_ms += LoadRelaxed(other.time_ms);
  waiting += LoadRelaxed(other.waiting);
  return *this;
}

void TrafficHistory::Add(Sample sample) {
  const uint64_t n = LoadRelaxed(added_);
  StoreRelaxed(samples_[n % kSamples], uint64_t{sample.requests} << 32 | sample.faults);
  StoreRelease(added_, n + 1);
}

std::vector<TrafficHistory::Sample> TrafficHistory::OldestFirst() const {
  const uint64_t end = LoadAcquire(added_);
  std::vector<Sample> samples;
  for (uint64_t n = end - std::min<uint64_t>(end, kSamples); n < end; ++n) {
    const uint64_t both = LoadRelaxed(samples_[n % kSamples]);
    samples.push_back({static_cast<uint32_t>(both >> 32), static_cast<uint32_t>(both)});
  }
  return samples;
}

TrafficSums Traffic::Sum(uint32_t place) const {
  TrafficSums sums;
  for (size_t slot = 0; slot < lines.size(); ++slot) {
    if (LoadRelaxed(used[slot]) != 0) sums += lines[slot][place].counted;
  }
  return sums;
}

void Traffic::Clear(uint32_t place) {
  for (size_t slot = 0; slot < lines.size(); ++slot) {
    if (LoadRelaxed(used[slot]) != 0) lines[slot][place].counted = {};
  }
}

}  // namespace limpet::shm
