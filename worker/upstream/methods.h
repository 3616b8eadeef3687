// How each balancing method chooses. A method is a .cc named after it with its factory, which is
// declared and listed here; what the configuration says of it is in conf/balance_methods.h.
#pragma once

#include <memory>

#include "conf/upstream.h"
#include "worker/upstream/balancer.h"

namespace limpet::worker {

// What a balancer may keep; all of it lives longer than the balancer.
struct MethodContext {
  const conf::Upstream& conf;
  const Tier& primaries;               // complete
  const SessionCounts* const* counts;  // the group's, which may be set later
};

using MakeMethod = std::unique_ptr<Balancer>(const MethodContext& context);
MakeMethod MakeRoundRobin, MakeLeastConn, MakeLeastTime, MakeLeastSessions, MakeRandom,
    MakeRandomTwo, MakeHash, MakeHashConsistent, MakeIpHash;

// The balancer of the upstream's method.
std::unique_ptr<Balancer> MakeBalancer(const MethodContext& context);

}  // namespace limpet::worker
