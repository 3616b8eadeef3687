// sticky route: the request names its server through variables; the first that is not empty counts.
#pragma once

#include <memory>

#include "worker/sticky/sticky.h"

namespace limpet::worker {
std::unique_ptr<StickyPolicy> MakeRoutePolicy(const conf::Sticky& conf, UpstreamGroup& group);
}  // namespace limpet::worker
