// The steps a request takes from its head to its response, in order: one table.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "worker/http/exchange/step.h"

namespace limpet::worker {

struct StepRow {
  std::string_view name;
  Step (*run)(Exchange& exchange);
};

std::span<const StepRow> Steps();
// Where an internal redirect, a rewritten URI and a named location start over, and where content is
// made.
size_t FirstStep();
size_t LocateStep();
size_t AfterLocateStep();
size_t ContentStep();

}  // namespace limpet::worker
