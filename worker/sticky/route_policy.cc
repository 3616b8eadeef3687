#include "worker/sticky/route_policy.h"

#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

class RoutePolicy final : public StickyPolicy {
 public:
  RoutePolicy(const conf::Sticky& conf, UpstreamGroup& group)
      : sticky_(conf), conf_(conf.route), group_(group) {}

  Peer* Find(conf::VariableReader& request, StickyState& state) override {
    for (const conf::Template& route : conf_.routes) {
      state.id = route.Evaluate(request);
      if (!state.id.empty()) break;
    }
    if (!state.id.empty()) state.bound = FindByVisibleId(sticky_, request, group_, state.id);
    state.status = state.bound != nullptr ? StickyStatus::kHit
                   : state.id.empty()     ? StickyStatus::kNew
                                          : StickyStatus::kMiss;
    return state.bound;
  }

 private:
  const conf::Sticky& sticky_;
  const conf::StickyRoute& conf_;
  UpstreamGroup& group_;
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeRoutePolicy(const conf::Sticky& conf, UpstreamGroup& group) {
  return std::make_unique<RoutePolicy>(conf, group);
}

}  // namespace limpet::worker
