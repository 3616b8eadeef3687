#include "worker/sticky/cookie_text.h"

#include <cstring>
#include <string>

#include "base/clock.h"
#include "base/text.h"

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

// A variable with any other value than the three known ones counts as the strictest.
std::string_view SameSite(const conf::StickyCookie& conf, conf::VariableReader& request) {
  const std::string_view value = conf.samesite.Evaluate(request);
  if (conf.samesite.is_constant() || value.empty()) return value;
  for (const std::string_view known : {"strict", "lax", "none"}) {
    if (EqualsIgnoreCase(value, known)) return value;
  }
  return "strict";
}

}  // namespace

std::string_view CookieText(const conf::StickyCookie& conf, conf::VariableReader& request,
                            std::string_view value) {
  std::string text = conf.name;
  text.append("=").append(value).append(ExpiresText(conf));
  if (const auto domain = conf.domain.Evaluate(request); !domain.empty())
    text.append("; domain=").append(domain);
  if (conf.httponly) text += "; httponly";
  if (conf.secure) text += "; secure";
  if (const auto samesite = SameSite(conf, request); !samesite.empty())
    text.append("; samesite=").append(samesite);
  if (const auto path = conf.path.Evaluate(request); !path.empty())
    text.append("; path=").append(path);
  for (const conf::StickyCookie::Attribute& other : conf.others) {
    const auto other_value = other.value.Evaluate(request);
    if (other_value.empty()) continue;
    text.append("; ").append(other.name).append(other.name.empty() ? "" : "=").append(other_value);
  }
  char* memory = request.Allocate(text.size());
  std::memcpy(memory, text.data(), text.size());
  return {memory, text.size()};
}

}  // namespace limpet::worker
