// sticky learn: sessions that the servers themselves have opened are remembered in a table shared
// by all workers.
#pragma once

#include <memory>

#include "worker/sticky/sticky.h"

namespace limpet::worker {

// `zone` is what the configuration says of the table, `sessions` the table.
std::unique_ptr<StickyPolicy> MakeLearnPolicy(const conf::Sticky& conf,
                                              const conf::SessionZone& zone, UpstreamGroup& group,
                                              shm::SessionTable& sessions);

}  // namespace limpet::worker
