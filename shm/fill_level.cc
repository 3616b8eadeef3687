#include "shm/fill_level.h"

#include <fmt/format.h>

#include <utility>

namespace limpet::shm {
namespace {

constexpr double kBelow = 0.95;  // a level is left at this share of its limit: no flapping
constexpr uint64_t kLineEveryMs = 60'000;     // while sessions are rotated or refused
constexpr double kNewRate = 0.3;              // weight of the newest growth in the smoothed one
constexpr double kFarSeconds = 30 * 86400.0;  // what the rate of a moment says nothing about

// Below one percent with a decimal: a limit of 0.4% is not one of 0%.
std::string Percent(double share) {
  const double percent = share * 100;
  return percent > 0 && percent < 0.95 ? fmt::format("{:.1f}%", percent)
                                       : fmt::format("{:.0f}%", percent);
}

std::string Duration(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f}s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{:.0f}m", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.0f}h", seconds / 3600);
  return fmt::format("{:.0f}d", seconds / 86400);
}

}  // namespace

FillLevel::FillLevel(const std::string& zone, const FillLimits& limits)
    : FillLevel({fmt::format("session zone \"{}\"", zone), "sessions", true}, limits) {}

FillLevel::FillLevel(FillSubject subject, const FillLimits& limits)
    : subject_(std::move(subject)), limits_(limits) {}

double ShareOf(uint64_t used, uint64_t capacity) {
  return capacity == 0 ? 0 : static_cast<double>(used) / static_cast<double>(capacity);
}

double LimitOf(FillGrade grade, const FillLimits& limits) {
  switch (grade) {
    case FillGrade::kNone:
      return 0;
    case FillGrade::kMinor:
      return limits.minor;
    case FillGrade::kMajor:
      return limits.major;
    case FillGrade::kCrit:
      return limits.crit;
  }
  return 0;
}

FillGrade GradeOf(double share, const FillLimits& limits) {
  for (const FillGrade grade : {FillGrade::kCrit, FillGrade::kMajor, FillGrade::kMinor}) {
    if (share >= LimitOf(grade, limits)) return grade;
  }
  return FillGrade::kNone;
}

FillLevel::Level FillLevel::LevelFor(double share) const {
  for (const Level level : {Level::kCrit, Level::kMajor, Level::kMinor}) {
    const bool stands = level <= level_;
    if (share >= LimitOf(level, limits_) * (stands ? kBelow : 1.0)) return level;
  }
  return Level::kNone;
}

std::optional<FillLine> FillLevel::Update(const FillSample& sample) {
  if (first_) {  // what was before us is not news
    said_ = previous_ = sample;
    first_ = false;
  }
  if (sample.now_ms > previous_.now_ms) {
    const double grown = static_cast<double>(sample.live) - static_cast<double>(previous_.live);
    const double rate = grown * 1000 / static_cast<double>(sample.now_ms - previous_.now_ms);
    per_second_ += kNewRate * (rate - per_second_);
    previous_ = sample;
  }
  constexpr LogLevel kLevels[] = {LogLevel::kNotice, LogLevel::kWarn, LogLevel::kError,
                                  LogLevel::kCrit};
  const Level before = std::exchange(level_, LevelFor(ShareOf(sample.live, sample.capacity)));
  const LogLevel log_level = kLevels[static_cast<int>(level_)];
  if (level_ > before) return Say(log_level, "reached", level_, sample);
  if (level_ < before) return Say(LogLevel::kNotice, "is below", before, sample);

  const bool suffers = sample.rotated != said_.rotated || sample.refused != said_.refused;
  const bool due = sample.now_ms - said_.now_ms >= kLineEveryMs;
  if (level_ == Level::kNone || !suffers || !due) return std::nullopt;
  return Say(log_level, "is above", level_, sample);
}

FillLine FillLevel::Say(LogLevel log_level, const char* what, Level limit,
                        const FillSample& sample) {
  const std::string whose =
      sample.process > 0 ? fmt::format(" in worker process {}", sample.process) : "";
  FillLine line{log_level, fmt::format("{} {} {}: {} full, {} of {} {}{}{}, {}", subject_.name,
                                       what, Percent(LimitOf(limit, limits_)),
                                       Percent(ShareOf(sample.live, sample.capacity)), sample.live,
                                       sample.capacity, subject_.unit, whose, Losses(sample),
                                       TimeToFull(sample, level_ < limit))};
  said_ = sample;
  return line;
}

std::string FillLevel::Losses(const FillSample& sample) const {
  if (!subject_.loses) return "";
  return fmt::format(", {} rotated and {} refused since the last line",
                     sample.rotated - said_.rotated, sample.refused - said_.refused);
}

// What it has lost since the last line was because it was full; that is over once it has drained.
std::string FillLevel::TimeToFull(const FillSample& sample, bool has_drained) const {
  const bool suffers = sample.rotated != said_.rotated || sample.refused != said_.refused;
  if (sample.live >= sample.capacity || (suffers && !has_drained)) return "full now";
  const auto room = static_cast<double>(sample.capacity - sample.live);
  if (room >= per_second_ * kFarSeconds) return "not filling up at the present rate";
  return fmt::format("full in {} at the present rate", Duration(room / per_second_));
}

}  // namespace limpet::shm
