// What a forked child does before it serves: privileges, limits, processors.
#pragma once

#include "master/generation.h"

namespace limpet::master {

// In the child: becomes worker `number` and runs until it is told to stop. Returns the exit status;
// 2 if it could not begin. `master`: the parent; when it dies without a word, the worker ends
// gracefully.
int RunWorker(Generation& generation, int number, int slot, pid_t master);

}  // namespace limpet::master
