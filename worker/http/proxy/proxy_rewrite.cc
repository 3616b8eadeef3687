#include "worker/http/proxy/proxy_rewrite.h"

#include <cstring>
#include <initializer_list>

#include "base/text.h"
#include "conf/named_groups.h"
#include "proto/escape.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {
namespace {

std::string_view Join(conf::VariableReader& reader, std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  char* const out = reader.Allocate(size);
  char* to = out;
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  return {out, size};
}

// The replacement may use the groups of the match, by number and by name.
template <class Rule>
bool MatchRegex(conf::VariableReader& reader, const Rule& rule, std::string_view text) {
  return conf::MatchGroups(reader, *rule.regex, rule.named, text);
}

std::optional<std::string_view> ApplyRedirectRule(conf::VariableReader& reader,
                                                  const conf::RedirectRule& rule,
                                                  std::string_view url) {
  if (rule.regex) {
    if (!MatchRegex(reader, rule, url)) return std::nullopt;
    return rule.replacement.Evaluate(reader);
  }
  const std::string_view prefix = rule.prefix.Evaluate(reader);
  if (!url.starts_with(prefix)) return std::nullopt;
  const std::string_view replacement = rule.replacement.Evaluate(reader);
  return Join(reader, {replacement, url.substr(prefix.size())});
}

std::optional<std::string_view> ApplyDefault(conf::VariableReader& reader, const ProxyPlan& plan,
                                             std::string_view url) {
  if (!plan.redirect_default || !url.starts_with(plan.redirect_prefix)) return std::nullopt;
  return Join(reader, {plan.redirect_to, url.substr(plan.redirect_prefix.size())});
}

// A domain is compared whole, with or without a leading dot, which stays; a path by its beginning.
enum class CookieAttribute : uint8_t { kDomain, kPath };

std::optional<std::string_view> ApplyCookieRule(conf::VariableReader& reader,
                                                const conf::CookieRule& rule, CookieAttribute kind,
                                                std::string_view value) {
  if (rule.regex) {
    if (!MatchRegex(reader, rule, value)) return std::nullopt;
    return rule.replacement.Evaluate(reader);
  }
  const std::string_view match = rule.match.Evaluate(reader);
  std::string_view before, after;
  if (kind == CookieAttribute::kDomain) {
    before = value.substr(0, value.starts_with('.') ? 1 : 0);
    if (!EqualsIgnoreCase(value.substr(before.size()), match)) return std::nullopt;
  } else {
    if (!value.starts_with(match)) return std::nullopt;
    after = value.substr(match.size());
  }
  const std::string_view replacement = rule.replacement.Evaluate(reader);
  return Join(reader, {before, replacement, after});
}

std::optional<std::string_view> ApplyCookieRules(conf::VariableReader& reader,
                                                 const std::vector<conf::CookieRule>& rules,
                                                 CookieAttribute kind, std::string_view value) {
  for (const conf::CookieRule& rule : rules) {
    if (auto changed = ApplyCookieRule(reader, rule, kind, value)) return changed;
  }
  return std::nullopt;
}

// A Set-Cookie taken apart; the first part is the cookie itself.
struct CookiePart {
  std::string_view name;
  std::optional<std::string_view> value;
};

std::string_view TrimBlanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::vector<CookiePart> SplitCookie(std::string_view text) {
  std::vector<CookiePart> parts;
  for (const std::string_view piece : Split(text, ';')) {
    const size_t equals = piece.find('=');
    CookiePart part{.name = TrimBlanks(piece.substr(0, equals)), .value = std::nullopt};
    if (equals != std::string_view::npos) part.value = TrimBlanks(piece.substr(equals + 1));
    parts.push_back(part);
  }
  return parts;
}

std::string_view JoinCookie(conf::VariableReader& reader, const std::vector<CookiePart>& parts) {
  std::string text;
  for (const CookiePart& part : parts) {
    if (!text.empty()) text += "; ";
    text += part.name;
    if (part.value) text.append("=").append(*part.value);
  }
  return Join(reader, {text});
}

bool RewriteAttributes(conf::VariableReader& reader, const conf::ProxySettings& proxy,
                       std::vector<CookiePart>* parts) {
  bool changed = false;
  for (size_t i = 1; i < parts->size(); ++i) {
    CookiePart& part = (*parts)[i];
    if (!part.value) continue;
    std::optional<std::string_view> value;
    if (EqualsIgnoreCase(part.name, "domain")) {
      value = ApplyCookieRules(reader, proxy.cookie_domains, CookieAttribute::kDomain, *part.value);
    } else if (EqualsIgnoreCase(part.name, "path")) {
      value = ApplyCookieRules(reader, proxy.cookie_paths, CookieAttribute::kPath, *part.value);
    }
    if (!value) continue;
    part.value = value;
    changed = true;
  }
  return changed;
}

// What proxy_cookie_flags asks of one cookie.
struct WantedFlags {
  using Tri = conf::CookieFlags::Tri;
  Tri secure = Tri::kKeep;
  Tri httponly = Tri::kKeep;
  Tri samesite = Tri::kKeep;
  std::string_view samesite_value;
  bool any = false;

  void Read(std::string_view flag) {
    const auto is = [flag](std::string_view name) { return EqualsIgnoreCase(flag, name); };
    const auto set_samesite = [this](Tri tri, std::string_view value) {
      if (samesite == Tri::kOn && tri == Tri::kOff) return;  // a value wins over nosamesite
      samesite = tri;
      samesite_value = value;
    };
    const bool secure_given = secure == Tri::kOn, httponly_given = httponly == Tri::kOn;
    if (is("secure")) {
      secure = Tri::kOn;
    } else if (is("nosecure")) {
      if (!secure_given) secure = Tri::kOff;
    } else if (is("httponly")) {
      httponly = Tri::kOn;
    } else if (is("nohttponly")) {
      if (!httponly_given) httponly = Tri::kOff;
    } else if (is("samesite=strict")) {
      set_samesite(Tri::kOn, "Strict");
    } else if (is("samesite=lax")) {
      set_samesite(Tri::kOn, "Lax");
    } else if (is("samesite=none")) {
      set_samesite(Tri::kOn, "None");
    } else if (is("nosamesite")) {
      set_samesite(Tri::kOff, {});
    } else {
      return;
    }
    any = true;
  }
};

const conf::CookieFlags* FindFlags(conf::VariableReader& reader, const conf::ProxySettings& proxy,
                                   std::string_view cookie) {
  for (const conf::CookieFlags& flags : proxy.cookie_flags) {
    const bool matches = flags.regex ? MatchRegex(reader, flags, cookie)
                                     : EqualsIgnoreCase(flags.cookie.Evaluate(reader), cookie);
    if (matches) return &flags;
  }
  return nullptr;
}

// Makes the attribute what `wanted` says. One that is there already stays where and as it is.
void ApplyFlag(conf::CookieFlags::Tri wanted, std::string_view name,
               std::optional<std::string_view> value, std::vector<CookiePart>* parts) {
  using Tri = conf::CookieFlags::Tri;
  if (wanted == Tri::kKeep) return;
  for (size_t i = 1; i < parts->size();) {
    CookiePart& part = (*parts)[i];
    if (!EqualsIgnoreCase(part.name, name)) {
      ++i;
    } else if (wanted == Tri::kOff) {
      parts->erase(parts->begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      if (value && !EqualsIgnoreCase(part.value.value_or(""), *value)) part = {name, value};
      return;
    }
  }
  if (wanted == Tri::kOn) parts->push_back({name, value});
}

bool RewriteFlags(conf::VariableReader& reader, const conf::ProxySettings& proxy,
                  std::vector<CookiePart>* parts) {
  const conf::CookieFlags* flags = FindFlags(reader, proxy, parts->front().name);
  if (flags == nullptr) return false;
  WantedFlags wanted;
  for (const conf::Template& flag : flags->flags) wanted.Read(flag.Evaluate(reader));
  if (!wanted.any) return false;
  ApplyFlag(wanted.secure, "Secure", std::nullopt, parts);
  ApplyFlag(wanted.httponly, "HttpOnly", std::nullopt, parts);
  ApplyFlag(wanted.samesite, "SameSite", wanted.samesite_value, parts);
  return true;
}

size_t FindIgnoreCase(std::string_view text, std::string_view word) {
  for (size_t i = 0; i + word.size() <= text.size(); ++i) {
    if (EqualsIgnoreCase(text.substr(i, word.size()), word)) return i;
  }
  return std::string_view::npos;
}

const ProxyPlan& PlanOf(Exchange& exchange) {
  return exchange.runtime().proxy_plans.For(exchange.location());
}

}  // namespace

std::optional<std::string_view> RewriteRedirectUrl(conf::VariableReader& reader,
                                                   const conf::ProxySettings& proxy,
                                                   const ProxyPlan& plan, std::string_view url) {
  if (proxy.redirect_off) return std::nullopt;
  for (const conf::RedirectRule& rule : proxy.redirects) {
    if (auto changed = ApplyRedirectRule(reader, rule, url)) return changed;
  }
  return ApplyDefault(reader, plan, url);  // where no rule is written
}

std::optional<std::string_view> RewriteRefresh(conf::VariableReader& reader,
                                               const conf::ProxySettings& proxy,
                                               const ProxyPlan& plan, std::string_view value) {
  constexpr std::string_view kUrl = "url=";
  const size_t at = FindIgnoreCase(value, kUrl);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t url = at + kUrl.size();
  const auto changed = RewriteRedirectUrl(reader, proxy, plan, value.substr(url));
  if (!changed) return std::nullopt;
  return Join(reader, {value.substr(0, url), proto::EscapeUri(*changed, proto::EscapeKind::kLine)});
}

std::optional<std::string_view> RewriteSetCookie(conf::VariableReader& reader,
                                                 const conf::ProxySettings& proxy,
                                                 std::string_view value) {
  std::vector<CookiePart> parts = SplitCookie(value);
  if (!parts.front().value) return std::nullopt;  // not a cookie
  bool changed = RewriteAttributes(reader, proxy, &parts);
  if (!proxy.cookie_flags.empty()) changed |= RewriteFlags(reader, proxy, &parts);
  if (!changed) return std::nullopt;
  return JoinCookie(reader, parts);
}

std::optional<std::string_view> RewriteLocationField(Exchange& exchange, std::string_view value) {
  return RewriteRedirectUrl(exchange, exchange.location().proxy, PlanOf(exchange), value);
}

std::optional<std::string_view> RewriteRefreshField(Exchange& exchange, std::string_view value) {
  return RewriteRefresh(exchange, exchange.location().proxy, PlanOf(exchange), value);
}

std::optional<std::string_view> RewriteSetCookieField(Exchange& exchange, std::string_view value) {
  const conf::ProxySettings& proxy = exchange.location().proxy;
  if (proxy.cookie_domains.empty() && proxy.cookie_paths.empty() && proxy.cookie_flags.empty()) {
    return std::nullopt;
  }
  return RewriteSetCookie(exchange, proxy, value);
}

}  // namespace limpet::worker
