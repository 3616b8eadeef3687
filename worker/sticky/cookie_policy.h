// sticky cookie: the server's id travels in a cookie of our own.
#pragma once

#include <memory>

#include "worker/sticky/sticky.h"

namespace limpet::worker {

std::unique_ptr<StickyPolicy> MakeCookiePolicy(const conf::Sticky& conf, UpstreamGroup& group);

}  // namespace limpet::worker
