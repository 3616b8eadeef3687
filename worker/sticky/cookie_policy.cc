#include "worker/sticky/cookie_policy.h"

#include "worker/sticky/cookie_text.h"
#include "worker/sticky/signed_cookie_policy.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

class CookiePolicy final : public StickyPolicy {
 public:
  CookiePolicy(const conf::Sticky& conf, UpstreamGroup& group)
      : sticky_(conf), conf_(conf.cookie), group_(group) {}

  Peer* Find(conf::VariableReader& request, StickyState& state) override {
    state.id = conf_.lookup.Evaluate(request);
    if (!state.id.empty()) state.bound = FindByVisibleId(sticky_, request, group_, state.id);
    state.status = state.bound != nullptr ? StickyStatus::kHit
                   : state.id.empty()     ? StickyStatus::kNew
                                          : StickyStatus::kMiss;
    return state.bound;
  }

  // nginx sends the cookie with every response.
  std::string_view OnChosen(conf::VariableReader& request, StickyState& state,
                            const Peer& peer) override {
    const Peer& home = state.temporary ? *state.bound : peer;
    return CookieText(conf_, request, VisibleId(sticky_, request, home));
  }

 private:
  const conf::Sticky& sticky_;
  const conf::StickyCookie& conf_;
  UpstreamGroup& group_;
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeCookiePolicy(const conf::Sticky& conf, UpstreamGroup& group) {
  if (!conf.cookie.keys.empty()) return MakeSignedCookiePolicy(conf.cookie, group);
  return std::make_unique<CookiePolicy>(conf, group);
}

}  // namespace limpet::worker
