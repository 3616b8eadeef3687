// When to say that something of a fixed size fills up: a session zone, worker_connections, a
// worker's files. Pure: takes figures, gives the line to log. All lines have one form
// (packaging/README.md):
//   SUBJECT reached|is above|is below LIMIT%: SHARE% full, USED of CAPACITY UNIT…, ESTIMATE
//
// A level is raised once, when the share reaches its limit (warn, error, crit), and withdrawn once,
// at notice, when the share has fallen clearly below it. While it stands and sessions are rotated
// or refused, a line a minute says so. Never a line per request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"

namespace limpet::shm {

struct FillLimits {  // shares of the capacity
  double minor = 0.75;
  double major = 0.85;
  double crit = 0.95;
};

enum class FillGrade : uint8_t { kNone, kMinor, kMajor, kCrit };

double ShareOf(uint64_t used, uint64_t capacity);  // 0 where there is no room at all
double LimitOf(FillGrade grade, const FillLimits& limits);
// The highest limit that the share has reached.
FillGrade GradeOf(double share, const FillLimits& limits);

struct FillSubject {
  std::string name;       // `session zone "one"`
  std::string_view unit;  // "sessions"
  bool loses = true;      // says how many were rotated and refused
};

struct FillSample {
  uint64_t live = 0;
  uint64_t capacity = 0;
  uint64_t rotated = 0;  // both since the zone began
  uint64_t refused = 0;
  uint64_t now_ms = 0;  // any clock that only grows
  int process = 0;      // whose figures these are, where each worker has its own; 0: everybody's
};

struct FillLine {
  LogLevel level;
  std::string text;
};

class FillLevel {
 public:
  FillLevel(const std::string& zone, const FillLimits& limits);  // of a session zone
  FillLevel(FillSubject subject, const FillLimits& limits);

  std::optional<FillLine> Update(const FillSample& sample);
  void SetLimits(const FillLimits& limits) { limits_ = limits; }

 private:
  using Level = FillGrade;

  Level LevelFor(double share) const;
  FillLine Say(LogLevel log_level, const char* what, Level limit, const FillSample& sample);
  std::string Losses(const FillSample& sample) const;
  std::string TimeToFull(const FillSample& sample, bool has_drained) const;

  FillSubject subject_;
  FillLimits limits_;
  Level level_ = Level::kNone;
  FillSample said_{};      // at the last line
  FillSample previous_{};  // at the last call
  double per_second_ = 0;  // net growth, smoothed
  bool first_ = true;
};

}  // namespace limpet::shm
