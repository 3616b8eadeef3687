// How many workers there may be. Each has a place in shared memory while it lives, of which there
// are 128: some are left for those that take the places of others at a reload.
#pragma once

namespace limpet::conf {

inline constexpr int kMostWorkers = 120;

}  // namespace limpet::conf
