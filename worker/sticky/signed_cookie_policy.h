// sticky cookie … sign=FILE: the cookie's value is sealed (cookie_seal.h), ends with its ttl, and
// goes to the client when it is new, when its server changes, and when a tenth of its time has
// passed.
#pragma once

#include <memory>

#include "worker/sticky/sticky.h"

namespace limpet::worker {

std::unique_ptr<StickyPolicy> MakeSignedCookiePolicy(const conf::StickyCookie& conf,
                                                     UpstreamGroup& group);

}  // namespace limpet::worker
