// The steps a request takes from its head to its response, in order: one table. A location has some
// of them: what it does not configure is left out of its requests' way.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/http/exchange/step.h"

namespace limpet::worker {

struct StepRow {
  std::string_view name;
  Step (*run)(Exchange& exchange);
  bool (*is_of)(const conf::Location& location);  // null: every location has it
};

// The steps of each location, worked out once.
class LocationSteps {
 public:
  explicit LocationSteps(const conf::Http& http);

  // The location's next step, `from` or behind it. There is one: all have the last.
  size_t Next(const conf::Location& location, size_t from) const {
    return from + static_cast<size_t>(std::countr_zero(steps_[location.index] >> from));
  }

 private:
  std::vector<uint32_t> steps_;  // to Location::index: a bit for each that it has
};

std::span<const StepRow> Steps();
// Where an internal redirect, a rewritten URI and a named location start over, and where content is
// made.
size_t FirstStep();
size_t LocateStep();
size_t AfterLocateStep();
size_t ContentStep();

}  // namespace limpet::worker
