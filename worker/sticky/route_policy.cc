#include "worker/sticky/route_policy.h"

#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

class RoutePolicy final : public StickyPolicy {
 public:
  RoutePolicy(const conf::StickyRoute& conf, UpstreamGroup& group) : conf_(conf), group_(group) {}

  Peer* Find(conf::VariableReader& request, StickyState& state) override {
    for (const conf::Template& route : conf_.routes) {
      state.id = route.Evaluate(request);
      if (!state.id.empty()) break;
    }
    if (!state.id.empty()) state.bound = group_.FindByServerId(state.id);
    state.status = state.bound != nullptr ? StickyStatus::kHit
                   : state.id.empty()     ? StickyStatus::kNew
                                          : StickyStatus::kMiss;
    return state.bound;
  }

  std::string_view OnChosen(conf::VariableReader& /*request*/, StickyState& state,
                            const Peer& peer) override {
    if (state.bound != nullptr && state.bound != &peer) state.status = StickyStatus::kRebound;
    return {};
  }

 private:
  const conf::StickyRoute& conf_;
  UpstreamGroup& group_;
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeRoutePolicy(const conf::StickyRoute& conf, UpstreamGroup& group) {
  return std::make_unique<RoutePolicy>(conf, group);
}

}  // namespace limpet::worker
