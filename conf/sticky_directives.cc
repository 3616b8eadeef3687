// sticky cookie | route | learn
#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

#include "conf/foreign.h"
#include "conf/loader.h"
#include "conf/secret_file.h"
#include "conf/session_zone.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

constexpr Ms kMaxTtl = std::chrono::hours(24) * 3650;
constexpr auto kWithValue =
    std::to_array<std::string_view>({"expires", "domain", "path", "samesite", "sign", "ttl"});

Error UnknownParameter(const std::string& text) {
  return InvalidArgument(fmt::format("unknown parameter \"{}\"", text));
}

bool IsSameSite(std::string_view text) {
  return EqualsIgnoreCase(text, "strict") || EqualsIgnoreCase(text, "lax") ||
         EqualsIgnoreCase(text, "none");
}

Status CookieExpires(const Directive& d, const std::string& value, StickyCookie* cookie) {
  if (value == "max") {
    cookie->expires = Ms::max();
    return {};
  }
  const auto time = ParseTime(value, true);
  if (!time) {
    return Refuse(d,
                  fmt::format("invalid \"expires\" parameter value \"{}\": it is max, or a time in "
                              "whole seconds as 30s or 1h30m",
                              value));
  }
  cookie->expires = *time;
  return {};
}

Status CookieTtl(const Directive& d, const std::string& value, StickyCookie* cookie) {
  const auto ttl = ParseTime(value, true);
  if (!ttl || ttl->count() == 0 || *ttl > kMaxTtl) {
    return Refuse(d, fmt::format("invalid \"ttl\" parameter value \"{}\": it is a time of 1s to "
                                 "3650d, as 30m or 8h",
                                 value));
  }
  cookie->ttl = *ttl;
  return {};
}

Status CookieKeys(Block& b, const Directive& d, const std::string& file, StickyCookie* cookie) {
  auto keys = ReadSealKeys(b, d, file);
  if (!keys) return keys.error();
  cookie->keys = std::move(*keys);
  return {};
}

Status CookieValue(Block& b, const Directive& d, std::string_view name, const std::string& value,
                   StickyCookie* cookie) {
  if (name == "expires") return CookieExpires(d, value, cookie);
  if (name == "ttl") return CookieTtl(d, value, cookie);
  if (name != "samesite" && value.empty())
    return Refuse(d, fmt::format("no value for \"{}\"", name));
  if (name == "sign") return CookieKeys(b, d, value, cookie);
  if (name == "path") {  // nginx's is no string with variables: "$" stands for itself
    if (value.find('$') != value.npos)
      b.loader.Warn(d, "the cookie's path has no variables: \"$\" stands for itself in it");
    cookie->path = Template::Literal(value);
    return {};
  }
  if (name == "domain") return Strings{}(b, d, value, cookie->domain);
  if (Status s = Strings{}(b, d, value, cookie->samesite); !s) return s;
  if (cookie->samesite.is_constant() && !IsSameSite(value))
    return Refuse(
        d, fmt::format("invalid \"samesite\" parameter value \"{}\": it is strict, lax, none or "
                       "a variable",
                       value));
  return {};
}

// An attribute that nginx does not know: `max-age=3600`, `Partitioned`, or a variable that gives
// such a word or nothing.
Status OtherAttribute(Block& b, const Directive& d, const std::string& text, StickyCookie* cookie) {
  const size_t equals = text.find('=');
  const auto may_be_named_with = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; };
  const bool is_variable = text.starts_with('$');
  if (EqualsIgnoreCase(text, "max-age"))
    return Refuse(d, "no value for \"max-age\": write max-age=3600");
  if (equals == 0 || text.empty() ||
      (!is_variable && !std::ranges::all_of(text.substr(0, equals), may_be_named_with)))
    return UnknownParameter(text);
  StickyCookie::Attribute& added = cookie->others.emplace_back();
  if (is_variable || equals == std::string::npos) return Strings{}(b, d, text, added.value);
  added.name = text.substr(0, equals);
  return Strings{}(b, d, text.substr(equals + 1), added.value);
}

Status Cookie(Block& b, const Directive& d) {
  StickyCookie& cookie = b.upstream->sticky.cookie;
  b.upstream->sticky.kind = StickyKind::kCookie;
  if (d.args.size() < 2)
    return InvalidArgument("invalid number of arguments in \"sticky\" directive");
  if (d.args[1].empty()) return Refuse(d, "empty cookie name");
  if (Status s = FieldName{}(b, d, d.args[1], cookie.name); !s) return s;
  std::vector<std::string> seen;
  for (size_t i = 2; i < d.args.size(); ++i) {
    const std::string& text = d.args[i];
    const size_t equals = text.find('=');
    const std::string name = ToLower(text.substr(0, equals));  // HttpOnly, as cookies have it
    const bool takes_value = std::ranges::find(kWithValue, name) != kWithValue.end();
    const bool is_flag = name == "httponly" || name == "secure";
    const bool has_value = equals != std::string::npos;
    if ((takes_value && !has_value) || (is_flag && has_value)) return UnknownParameter(text);
    for (const std::string& other : seen) {
      if (other == name) return Refuse(d, fmt::format("parameter \"{}\" is duplicate", name));
    }
    seen.push_back(name);
    if (is_flag) {
      (name == "secure" ? cookie.secure : cookie.httponly) = true;
    } else if (!takes_value) {
      if (Status s = OtherAttribute(b, d, text, &cookie); !s) return s;
    } else if (Status s = CookieValue(b, d, name, text.substr(equals + 1), &cookie); !s) {
      return s;
    }
  }
  if (cookie.keys.empty() && std::ranges::find(seen, "ttl") != seen.end())
    return Refuse(d, "\"ttl\" requires \"sign\": other values have no end");
  if (cookie.path.source().empty())
    b.loader.Notice(d,
                    "the cookie has no \"path\": browsers send it below the folder of the request "
                    "that got it only, \"path=/\" is for the whole site");
  // Not by Compile: a cookie's name may have characters that a variable's in text may not.
  cookie.lookup =
      Template::OfVariable(b.http->variables.Mention("cookie_" + cookie.name, Where(d)));
  return {};
}

// A variable alone is named by the rest of the word, dots and dashes included: Express calls its
// cookie connect.sid. Anything else is a string with variables, which nginx does not take.
Status KeyVariable(Block& b, const Directive& d, const std::string& value, Template* out) {
  const bool is_alone = value.size() > 1 && value[0] == '$' && value[1] != '{' &&
                        !(value[1] >= '1' && value[1] <= '9') &&
                        value.find('$', 1) == std::string::npos;
  if (!is_alone || std::ranges::all_of(value.substr(1), IsNameChar))
    return Strings{}(b, d, value, *out);
  *out = Template::OfVariable(b.http->variables.Mention(value.substr(1), Where(d)));
  return {};
}

Status Route(Block& b, const Directive& d) {
  b.upstream->sticky.kind = StickyKind::kRoute;
  if (d.args.size() < 2)
    return InvalidArgument("invalid number of arguments in \"sticky\" directive");
  for (size_t i = 1; i < d.args.size(); ++i) {
    if (d.args[i].find('$') == std::string::npos) {
      return InvalidArgument(fmt::format("invalid variable name \"{}\"", d.args[i]));
    }
    auto& routes = b.upstream->sticky.route.routes;
    if (Status s = KeyVariable(b, d, d.args[i], &routes.emplace_back()); !s) return s;
  }
  return {};
}

Status LearnKey(Block& b, const Directive& d, std::string_view name, const std::string& value,
                std::vector<Template>* keys) {
  if (value.find('$') == std::string::npos) {
    return Refuse(d, fmt::format("missing variable in the \"{}\" parameter", name));
  }
  return KeyVariable(b, d, value, &keys->emplace_back());
}

// At the lookup no upstream has answered yet.
void WarnOfLookup(Block& b, const Directive& d, const std::string& value) {
  for (const std::string_view family : {"cookie_", "http_", "trailer_"}) {
    for (const std::string_view begin : {"$upstream_", "${upstream_"}) {
      if (value.find(fmt::format("{}{}", begin, family)) == std::string::npos) continue;
      return b.loader.Warn(d,
                           fmt::format("\"lookup={}\" is empty for every request, as no upstream "
                                       "has answered: are \"create\" and \"lookup\" exchanged?",
                                       value));
    }
  }
}

// A Set-Cookie field has attributes behind the value, and a Cookie field all cookies of the client:
// neither comes again as it was.
void WarnOfWholeField(Block& b, const Directive& d, std::string_view parameter,
                      const std::string& value) {
  constexpr std::string_view kFields[][2] = {{"$upstream_http_set_cookie", "$upstream_cookie_NAME"},
                                             {"$http_cookie", "$cookie_NAME"}};
  for (const auto& [field, one] : kFields) {
    if (value == field)
      b.loader.Warn(d,
                    fmt::format("\"{}={}\" is a whole field, which does not come again as it was: "
                                "write {}={}",
                                parameter, value, parameter, one));
  }
}

Status Learn(Block& b, const Directive& d) {
  StickyLearn& learn = b.upstream->sticky.learn;
  b.upstream->sticky.kind = StickyKind::kLearn;
  SessionZoneParser zone(d);
  for (size_t i = 1; i < d.args.size(); ++i) {
    const std::string& text = d.args[i];
    if (const auto create = After(text, "create=")) {
      if (Status s = LearnKey(b, d, "create", *create, &learn.create); !s) return s;
      WarnOfWholeField(b, d, "create", *create);
    } else if (const auto lookup = After(text, "lookup=")) {
      if (Status s = LearnKey(b, d, "lookup", *lookup, &learn.lookup); !s) return s;
      WarnOfLookup(b, d, *lookup);
      WarnOfWholeField(b, d, "lookup", *lookup);
    } else if (const auto end = After(text, "delete=")) {
      if (Status s = LearnKey(b, d, "delete", *end, &learn.ends); !s) return s;
    } else if (text == "header") {
      learn.header = true;
    } else if (text == "sync") {
      b.loader.Warn(d,
                    "\"sync\" is left out: a \"session_store\" shares sessions, write store=NAME");
    } else {
      const Result<bool> known = zone.Take(text);
      if (!known) return known.error();
      if (!*known) return UnknownParameter(text);
    }
  }
  if (learn.lookup.empty())
    return Refuse(
        d,
        "\"lookup\" parameter is not specified: write lookup=$VARIABLE, as lookup=$cookie_session");
  if (learn.create.empty())
    return Refuse(d,
                  "\"create\" parameter is not specified: write create=$VARIABLE, as "
                  "create=$upstream_cookie_session");
  if (!zone.quota_key().empty()) {
    if (Status s = KeyVariable(b, d, zone.quota_key(), &learn.quota_key); !s) return s;
  }
  const Result<int> index = zone.Finish(b);
  if (!index) return index.error();
  learn.zone = *index;
  return {};
}

Status Sticky(Block& b, const Directive& d) {
  if (const std::string line = StickyInstead(d); !line.empty())
    return InvalidArgument(
        fmt::format("\"sticky\" is another module's here, write instead: {}", line));
  if (d.args[0] == "cookie") return Cookie(b, d);
  if (d.args[0] == "route") return Route(b, d);
  if (d.args[0] == "learn") return Learn(b, d);
  return UnknownParameter(d.args[0]);
}

// `fail` or `fail=503`
bool IsFail(std::string_view value, int* code) {
  if (!value.starts_with("fail")) return false;
  value.remove_prefix(4);
  if (value.empty()) return true;
  const auto number = value.starts_with('=') ? ParseDecimal(value.substr(1)) : std::nullopt;
  if (!number || *number < 400 || *number > 599) return false;
  *code = static_cast<int>(*number);
  return true;
}

bool OnDown(std::string_view value, SessionPolicy* policy) {
  using Down = SessionPolicy::Down;
  if (value == "rebind") return policy->on_down = Down::kRebind, true;
  if (value == "temporary") return policy->on_down = Down::kTemporary, true;
  policy->on_down = Down::kFail;
  return IsFail(value, &policy->down_code);
}

bool OnBusy(std::string_view value, SessionPolicy* policy) {
  using Busy = SessionPolicy::Busy;
  if (value == "rebind") return policy->on_busy = Busy::kRebind, true;
  if (value == "queue") return policy->on_busy = Busy::kQueue, true;
  policy->on_busy = Busy::kFail;
  return IsFail(value, &policy->busy_code);
}

bool Failback(std::string_view value, SessionPolicy* policy) {
  using Failback = SessionPolicy::Failback;
  if (value == "never") return policy->failback = Failback::kNever, true;
  if (value == "idle") return policy->failback = Failback::kIdle, true;
  policy->failback = Failback::kImmediate;
  return value == "immediate";
}

Status Policy(Block& b, const Directive& d) {
  for (const std::string& text : d.args) {
    SessionPolicy& policy = b.upstream->sticky.policy;
    bool good = false;
    if (const auto down = After(text, "on_down=")) good = OnDown(*down, &policy);
    if (const auto busy = After(text, "on_busy=")) good = OnBusy(*busy, &policy);
    if (const auto failback = After(text, "failback=")) good = Failback(*failback, &policy);
    if (!good && text.find("=fail=") != std::string::npos)
      return InvalidParameter(text, "a code is 400 to 599");
    if (!good) return InvalidParameter(text);
  }
  return {};
}

// `wait=TIME` or `off`
Status FirstRequests(Block& b, const Directive& d) {
  Ms& wait = b.upstream->sticky.first_wait;
  wait = {};
  if (d.args[0] == "off") return {};
  const auto text = After(d.args[0], "wait=");
  if (!text) return InvalidParameter(d.args[0]);
  const auto time = ParseTime(*text, false);
  if (!time) return InvalidParameter(d.args[0], "it takes a time, as 200ms");
  wait = *time;
  return {};
}

constexpr auto kSticky = &Upstream::sticky;

constexpr std::array kRows = std::to_array<Row>({
    {"sticky", kUpstream, AtLeast(0), kOnce, Sticky, "",
     "cookie NAME [sign=FILE [ttl=8h]] [expires=] [domain=] [path=] [httponly] [secure] "
     "[samesite=] "
     "[ATTRIBUTE[=]] | "
     "route $VARIABLE … | "
     "learn create= lookup= [delete=] "
     "zone=NAME:SIZE [store=NAME [confirm]] [timeout=10m] [header] [norefresh] "
     "[cookie_max_size=SIZE] [gc_period=5m] "
     "[session_rotate=on|off] [quota=KEY:N] [new_rate=RATE[:BURST]] "
     "[fill_limit_minor_log=75%] [fill_limit_major_log=85%] [fill_limit_crit_log=95%]"},
    {"sticky_policy", kUpstream, Takes(1, 2, 3), kOnce, Policy, "",
     "[on_down=rebind|temporary|fail[=CODE]] [on_busy=rebind|queue|fail[=CODE]] "
     "[failback=never|idle|immediate]: what becomes of a session whose server cannot take its "
     "request"},
    {"sticky_strict", kUpstream, kOneArg, kOnce, Setting<Flag, kSticky, &conf::Sticky::strict>,
     "off", "502 instead of another server"},
    {"sticky_secret", kUpstream, kOneArg, kOnce, Setting<Strings, kSticky, &conf::Sticky::secret>,
     "", "server ids in cookies and routes are hashed with it"},
    {"sticky_first", kUpstream, kOneArg, kOnce, FirstRequests, "off",
     "off | wait=TIME: so long, requests of a client connection without a session follow its first "
     "one to the server that has not answered yet"},
});

}  // namespace

constinit const std::span<const Row> kStickyDirectives = kRows;

}  // namespace limpet::conf
