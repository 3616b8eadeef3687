#include "shm/alert_ring.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace limpet::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void AlertRing::Add(LogLevel level, std::string_view text) {
  const uint64_t number = added_.fetch_add(1, kRelaxed) + 1;
  Entry& entry = entries_[number % kAlerts];
  entry.number.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  entry.wall_ms.store(static_cast<int64_t>(WallMs()), kRelaxed);
  entry.since_ms.store(MonotonicMs(), kRelaxed);
  entry.level.store(static_cast<uint32_t>(level), kRelaxed);
  text = text.substr(0, kMaxText);
  entry.size.store(static_cast<uint32_t>(text.size()), kRelaxed);
  for (size_t i = 0; i * 8 < text.size(); ++i) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i * 8, std::min<size_t>(8, text.size() - i * 8));
    entry.text[i].store(word, kRelaxed);
  }
  entry.number.store(number, std::memory_order_release);
}

bool AlertRing::AddOncePer(std::chrono::milliseconds time, LogLevel level, std::string_view text) {
  const uint64_t now = MonotonicMs();  // the clock that is shown may be set back by a day
  const auto within = static_cast<uint64_t>(time.count());
  const std::string_view kept = text.substr(0, kMaxText);
  const std::vector<Alert> newest = Newest();
  const bool known = std::ranges::any_of(newest, [&](const Alert& alert) {
    return now < alert.since_ms + within && alert.text == kept;
  });
  if (!known) Add(level, text);
  return !known;
}

std::vector<Alert> AlertRing::Newest() const {
  std::vector<Alert> alerts;
  for (const Entry& entry : entries_) {
    Alert alert;
    alert.number = entry.number.load(std::memory_order_acquire);
    if (alert.number == 0) continue;
    alert.wall_ms = entry.wall_ms.load(kRelaxed);
    alert.since_ms = entry.since_ms.load(kRelaxed);
    alert.level = static_cast<LogLevel>(entry.level.load(kRelaxed));
    alert.text.resize(std::min<size_t>(entry.size.load(kRelaxed), kMaxText));
    for (size_t i = 0; i * 8 < alert.text.size(); ++i) {
      const uint64_t word = entry.text[i].load(kRelaxed);
      std::memcpy(alert.text.data() + i * 8, &word, std::min<size_t>(8, alert.text.size() - i * 8));
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (entry.number.load(kRelaxed) == alert.number) alerts.push_back(std::move(alert));
  }
  std::sort(alerts.begin(), alerts.end(),
            [](const Alert& a, const Alert& b) { return a.number > b.number; });
  return alerts;
}

}  // namespace limpet::shm
