// health_check of a location: how the servers of its upstream are probed; and the match blocks that
// say which answers are good.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/regex.h"

namespace limpet::conf {

struct HeaderMatch {
  enum class Test : uint8_t { kPresent, kAbsent, kEqual, kNotEqual, kRegex, kNotRegex };
  std::string name;  // lower case
  Test test = Test::kPresent;
  std::string value;
  std::shared_ptr<const Regex> regex;
};

struct StatusRange {
  int first = 200;
  int last = 399;
};

// `match NAME { }`: an answer is good if every line of the block says so.
struct Match {
  std::string name;
  std::vector<StatusRange> statuses;  // empty: any
  bool statuses_negated = false;      // `status ! 500`
  std::vector<HeaderMatch> headers;
  std::shared_ptr<const Regex> body;  // sought in the first 256 KiB
  bool body_negated = false;
};

struct HealthCheck {
  std::chrono::milliseconds interval{5000};
  std::chrono::milliseconds jitter{0};  // up to this much is added to each interval
  int fails = 1;                        // in a row, to become unhealthy
  int passes = 1;                       // in a row, to become healthy again
  std::string uri = "/";
  uint16_t port = 0;        // 0: the server's own
  bool tcp = false;         // a connection that opens is enough
  bool mandatory = false;   // takes nothing before its first check has passed
  bool persistent = false;  // with mandatory: the state from before the reload counts
  int match = -1;           // index into Http::matches; -1: any status from 200 to 399
};

}  // namespace limpet::conf
