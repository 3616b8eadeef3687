// proxy_*: what is changed in heads on their way to and from upstreams.
#include <array>

#include "base/text.h"
#include "conf/loader.h"
#include "conf/proxy_redirect.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "proto/header_id.h"

namespace limpet::conf {
namespace {

using P = ProxySettings;

constexpr std::array kIgnoreWords = std::to_array<Choice<uint32_t>>({
    {"X-Accel-Redirect", kIgnoreXAccelRedirect},
    {"X-Accel-Expires", kIgnoreXAccelExpires},
    {"X-Accel-Limit-Rate", kIgnoreXAccelLimitRate},
    {"X-Accel-Buffering", kIgnoreXAccelBuffering},
    {"X-Accel-Charset", kIgnoreXAccelCharset},
    {"Expires", kIgnoreExpires},
    {"Cache-Control", kIgnoreCacheControl},
    {"Set-Cookie", kIgnoreSetCookie},
    {"Vary", kIgnoreVary},
});

Status SetHeaderRow(Block& b, const Directive& d) {
  auto& headers = b.location->proxy.set_headers;
  if (b.First(&headers)) headers.clear();
  SetHeader header;
  if (Status s = FieldName{}(b, d, d.args[0], header.name); !s) return s;
  if (proto::IsFraming(proto::LookupHeader(header.name))) header.declared_at = Where(d);
  if (Status s = FieldValue{}(b, d, d.args[1], header.value); !s) return s;
  headers.push_back(std::move(header));
  return {};
}

template <auto Field>
Status AddName(Block& b, const Directive& d) {
  auto& names = b.location->proxy.*Field;
  if (b.First(&names)) names.clear();
  names.push_back(d.args[0]);
  return {};
}

// "~pattern" or "~*pattern": a regular expression, else a template.
Status PatternOrText(Block& b, const Directive& d, const std::string& text, Template* match,
                     std::shared_ptr<const Regex>* regex, std::vector<VariableId>* named,
                     bool ignore_case_always) {
  if (!text.starts_with('~')) return Strings{}(b, d, text, *match);
  const bool star = text.starts_with("~*");
  auto compiled = CompileRegex(b, d, std::string_view(text).substr(star ? 2 : 1),
                               star || ignore_case_always, named);
  if (!compiled) return compiled.error();
  *regex = std::move(*compiled);
  return {};
}

Status OffOrDefault(Block& b, const Directive& d, bool only) {
  P& proxy = b.location->proxy;
  const std::string& word = d.args[0];
  if (word == "off") {
    proxy.redirect_off = true;
    return only ? Status{} : Refuse(d, "is duplicate");
  }
  if (word != "default") return InvalidParameter(word);
  if (!proxy.pass.set)
    return InvalidArgument(
        "\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive");
  if (proxy.pass.has_variables) {
    return InvalidArgument(
        "\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables");
  }
  proxy.redirects.push_back(DefaultRedirect(*b.location));
  return {};
}

Status Redirect(Block& b, const Directive& d) {
  P& proxy = b.location->proxy;
  if (b.First(&proxy.redirects)) {
    proxy.redirects.clear();
    proxy.redirect_default = false;
    proxy.redirect_off = false;
  } else if (proxy.redirect_off) {
    return Refuse(d, "is duplicate");
  }
  if (d.args.size() == 1) return OffOrDefault(b, d, proxy.redirects.empty());
  RedirectRule rule;
  if (Status s = PatternOrText(b, d, d.args[0], &rule.prefix, &rule.regex, &rule.named, false); !s)
    return s;
  if (Status s = Strings{}(b, d, d.args[1], rule.replacement); !s) return s;
  proxy.redirects.push_back(std::move(rule));
  return {};
}

// The rules of one kind in a block: inherited ones go at the first line; `off` stands alone.
template <class Rules>
Status StartRules(Block& b, const Directive& d, Rules& rules, bool* is_off) {
  const bool first = b.First(&rules);
  *is_off = d.args.size() == 1;
  if (*is_off && d.args[0] != "off") return InvalidParameter(d.args[0]);
  if (!first && (rules.empty() || *is_off)) return Refuse(d, "is duplicate");
  if (first) rules.clear();
  return {};
}

// Domains are compared without regard to case; paths with.
template <auto Field, bool kIgnoreCase>
Status Cookie(Block& b, const Directive& d) {
  auto& rules = b.location->proxy.*Field;
  bool is_off = false;
  if (Status s = StartRules(b, d, rules, &is_off); !s || is_off) return s;
  CookieRule rule;
  std::string match = d.args[0];
  std::string replacement = d.args[1];
  if (kIgnoreCase) {  // a leading dot of a domain means nothing (RFC 6265)
    if (match.starts_with('.')) match.erase(0, 1);
    if (replacement.starts_with('.')) replacement.erase(0, 1);
  }
  if (Status s = PatternOrText(b, d, match, &rule.match, &rule.regex, &rule.named, kIgnoreCase); !s)
    return s;
  if (Status s = Strings{}(b, d, replacement, rule.replacement); !s) return s;
  rules.push_back(std::move(rule));
  return {};
}

bool IsCookieFlag(std::string_view text) {
  for (const std::string_view known : {"secure", "nosecure", "httponly", "nohttponly", "nosamesite",
                                       "samesite=strict", "samesite=lax", "samesite=none"}) {
    if (EqualsIgnoreCase(text, known)) return true;
  }
  return false;
}

Status Flags(Block& b, const Directive& d) {
  auto& rules = b.location->proxy.cookie_flags;
  bool is_off = false;
  if (Status s = StartRules(b, d, rules, &is_off); !s || is_off) return s;
  CookieFlags rule;
  if (Status s = PatternOrText(b, d, d.args[0], &rule.cookie, &rule.regex, &rule.named, true); !s)
    return s;
  for (size_t i = 1; i < d.args.size(); ++i) {
    Template flag;
    if (Status s = Strings{}(b, d, d.args[i], flag); !s) return s;
    if (flag.is_constant() && !IsCookieFlag(flag.constant())) return InvalidParameter(d.args[i]);
    rule.flags.push_back(std::move(flag));
  }
  rules.push_back(std::move(rule));
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr auto kProxy = &Location::proxy;

constexpr std::array kRows = std::to_array<Row>({
    {"proxy_set_header", kHere, Takes(2), kMany, SetHeaderRow, "Host $proxy_host; Connection \"\"",
     "NAME VALUE: a header field of the request to the upstream; an empty value removes it, "
     "one with CR or LF is a 500. Content-Length and Transfer-Encoding follow from the body"},
    {"proxy_hide_header", kHere, kOneArg, kMany, AddName<&P::hide_headers>, "",
     "a header field that clients do not see"},
    {"proxy_pass_header", kHere, kOneArg, kMany, AddName<&P::pass_headers>, "",
     "a header field that clients do see, although it is hidden by default"},
    {"proxy_pass_request_headers", kHere, kOneArg, kOnce,
     Setting<Flag, kProxy, &P::pass_request_headers>, "on",
     "the client's header fields go to the upstream"},
    {"proxy_pass_request_body", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::pass_request_body>,
     "on", "the client's body goes to the upstream"},
    {"proxy_pass_trailers", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::pass_trailers>, "off",
     "the upstream's trailers go to the client"},
    {"proxy_set_body", kHere, kOneArg, kOnce, Setting<Strings, kProxy, &P::set_body>, "",
     "a request body of our own"},
    {"proxy_method", kHere, kOneArg, kOnce, Setting<Strings, kProxy, &P::method>, "",
     "the method of requests to the upstream"},
    {"proxy_ignore_headers", kHere, AtLeast(1), kMany,
     Bits<kIgnoreWords, kProxy, &P::ignore_headers>, "",
     "header fields of the upstream that have no effect here"},
    {"proxy_redirect", kHere, Takes(1, 2), kMany, Redirect, "default",
     "default | off | FROM TO | ~PATTERN TO: changes Location and Refresh"},
    {"proxy_cookie_domain", kHere, Takes(1, 2), kMany, Cookie<&P::cookie_domains, true>, "off",
     "off | DOMAIN NEW | ~PATTERN NEW: changes the domain of Set-Cookie"},
    {"proxy_cookie_path", kHere, Takes(1, 2), kMany, Cookie<&P::cookie_paths, false>, "off",
     "off | PATH NEW | ~PATTERN NEW: changes the path of Set-Cookie"},
    {"proxy_cookie_flags", kHere, Takes(1, 2, 3, 4), kMany, Flags, "off",
     "off | COOKIE FLAG …: sets or removes secure, httponly and samesite"},
});

// The URL of a constant proxy_pass, as it stands in the configuration.
std::string PassUrl(const ProxyPass& pass) {
  if (!pass.url.source().empty()) return pass.url.source();
  return (pass.https ? "https://" : "http://") + pass.host_header + pass.uri;
}

}  // namespace

RedirectRule DefaultRedirect(const Location& location) {
  const ProxyPass& pass = location.proxy.pass;
  RedirectRule rule;
  rule.prefix = Template::Literal(pass.has_uri ? PassUrl(pass) : PassUrl(pass) + "/");
  rule.replacement = Template::Literal(pass.has_uri ? location.name : "/");
  return rule;
}

constinit const std::span<const Row> kProxyRewritingDirectives = kRows;

}  // namespace limpet::conf
