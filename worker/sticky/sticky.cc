#include "worker/sticky/sticky.h"

#include "worker/sticky/cookie_policy.h"
#include "worker/sticky/learn_policy.h"
#include "worker/sticky/route_policy.h"

namespace limpet::worker {

std::string_view Name(StickyStatus status) {
  switch (status) {
    case StickyStatus::kNone:
      return "";
    case StickyStatus::kNew:
      return "new";
    case StickyStatus::kHit:
      return "hit";
    case StickyStatus::kMiss:
      return "miss";
    case StickyStatus::kExpired:
      return "expired";
    case StickyStatus::kRebound:
      return "rebound";
  }
  return "";
}

std::unique_ptr<StickyPolicy> MakeSticky(const conf::Upstream& conf, UpstreamGroup& group,
                                         const conf::SessionZone* zone,
                                         shm::SessionTable* sessions) {
  switch (conf.sticky.kind) {
    case conf::StickyKind::kNone:
      return nullptr;
    case conf::StickyKind::kCookie:
      return MakeCookiePolicy(conf.sticky.cookie, group);
    case conf::StickyKind::kRoute:
      return MakeRoutePolicy(conf.sticky.route, group);
    case conf::StickyKind::kLearn:
      if (zone == nullptr || sessions == nullptr) return nullptr;
      return MakeLearnPolicy(conf.sticky.learn, *zone, group, *sessions);
  }
  return nullptr;
}

}  // namespace limpet::worker
