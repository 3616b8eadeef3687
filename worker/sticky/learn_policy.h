// sticky learn: sessions that the servers themselves have opened are remembered in a table shared
// by all workers.
#pragma once

#include <memory>

#include "worker/sticky/sticky.h"

namespace limpet::worker {

std::unique_ptr<StickyPolicy> MakeLearnPolicy(const conf::Sticky& conf, UpstreamGroup& group,
                                              const StickySessions& sessions);

}  // namespace limpet::worker
