// What is wrong now, for the top of a page: the worst first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/status/status.h"

namespace limpet::worker {

enum class Severity : uint8_t { kCritical, kError, kWarning };  // the worst first
std::string_view Name(Severity severity);

struct Problem {
  Severity severity = Severity::kWarning;
  std::string kind;      // "upstream", "server", "zone", "worker", "reload", "store", "certificate"
  std::string subject;   // its name, "" where there is only one
  std::string text;      // a sentence
  int64_t since_ms = 0;  // wall time; 0: not known
};

// Of upstreams without `zone`: as this process sees them.
std::vector<Problem> FindProblems(const StatusSource& source);

}  // namespace limpet::worker
