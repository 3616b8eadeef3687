#include "worker/sticky/cookie_policy.h"

#include <cstring>

#include "base/clock.h"
#include "base/text.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kExpiresMax = "; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000";

std::string ExpiresText(const conf::StickyCookie& conf) {
  if (!conf.expires) return {};
  if (*conf.expires == conf::Ms::max()) return std::string(kExpiresMax);
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(*conf.expires).count();
  return "; expires=" + FormatCookieDate(Now().seconds + seconds) +
         "; max-age=" + std::to_string(seconds);
}

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

  // nginx sends the cookie with every response, in this order and case of attributes.
  std::string_view OnChosen(conf::VariableReader& request, StickyState& state,
                            const Peer& peer) override {
    const Peer& home = state.temporary ? *state.bound : peer;
    std::string text =
        conf_.name + "=" + VisibleId(sticky_, request, home.server_id) + ExpiresText(conf_);
    if (const auto domain = conf_.domain.Evaluate(request); !domain.empty())
      text.append("; domain=").append(domain);
    if (conf_.httponly) text += "; httponly";
    if (conf_.secure) text += "; secure";
    if (const auto samesite = SameSite(request); !samesite.empty())
      text.append("; samesite=").append(samesite);
    if (const auto path = conf_.path.Evaluate(request); !path.empty())
      text.append("; path=").append(path);
    for (const conf::StickyCookie::Attribute& other : conf_.others) {
      const auto value = other.value.Evaluate(request);
      if (value.empty()) continue;
      text.append("; ").append(other.name).append(other.name.empty() ? "" : "=").append(value);
    }
    char* memory = request.Allocate(text.size());
    std::memcpy(memory, text.data(), text.size());
    return {memory, text.size()};
  }

 private:
  // A variable with any other value than the three known ones counts as the strictest.
  std::string_view SameSite(conf::VariableReader& request) const {
    const std::string_view value = conf_.samesite.Evaluate(request);
    if (conf_.samesite.is_constant() || value.empty()) return value;
    for (const std::string_view known : {"strict", "lax", "none"}) {
      if (EqualsIgnoreCase(value, known)) return value;
    }
    return "strict";
  }

  const conf::Sticky& sticky_;
  const conf::StickyCookie& conf_;
  UpstreamGroup& group_;
};

}  // namespace

std::unique_ptr<StickyPolicy> MakeCookiePolicy(const conf::Sticky& conf, UpstreamGroup& group) {
  return std::make_unique<CookiePolicy>(conf, group);
}

}  // namespace limpet::worker
