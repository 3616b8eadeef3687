// allow, deny, satisfy, auth_basic.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

using A = AccessSettings;

template <bool kAllow>
Status Rule(Block& b, const Directive& d) {
  auto& rules = b.location->access.rules;
  if (b.First(&rules)) rules.clear();
  AccessRule rule{.allow = kAllow};
  const std::string& text = d.args[0];
  rule.all = text == "all";
  rule.unix_sockets = text == "unix:";
  if (!rule.all && !rule.unix_sockets) {
    bool host_bits = false;
    const Result<Cidr> network = Cidr::Parse(text, &host_bits);
    if (!network) return InvalidParameter(text);
    if (host_bits) b.loader.Warn(d, fmt::format("low address bits of {} are meaningless", text));
    rule.network = *network;
  }
  rules.push_back(rule);
  return {};
}

constexpr std::array kSatisfy = std::to_array<Choice<bool>>({{"all", false}, {"any", true}});

Status Realm(Block& b, const Directive& d) {
  return Strings{}(b, d, d.args[0], b.location->access.auth_basic_realm);
}

// What a variable begins may be absolute: it is seen when there is a request.
Status UserFile(Block& b, const Directive& d) {
  const std::string& text = d.args[0];
  return Strings{}(b, d, text.starts_with('$') ? text : b.loader.FromConfDir(text),
                   b.location->access.auth_basic_user_file);
}

Status AuthRequestRow(Block& b, const Directive& d) {
  b.location->access.auth_request.uri = d.args[0] == "off" ? "" : d.args[0];
  return {};
}

Status AuthRequestSet(Block& b, const Directive& d) {
  auto& sets = b.location->access.auth_request.sets;
  if (b.First(&sets)) sets.clear();
  if (!d.args[0].starts_with('$'))
    return InvalidArgument(fmt::format("invalid variable name \"{}\"", d.args[0]));
  const auto id = b.http->variables.DefineUser(std::string_view(d.args[0]).substr(1), Where(d));
  if (!id) return id.error();
  AuthRequest::Set set{.variable = *id};
  if (Status s = Strings{}(b, d, d.args[1], set.value); !s) return s;
  sets.push_back(std::move(set));
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr uint32_t kHereOrExcept = kHttpServerLocation | kLimitExcept;

constexpr std::array kRows = std::to_array<Row>({
    {"allow", kHereOrExcept, kOneArg, kMany, Rule<true>, "",
     "ADDRESS | NETWORK | all | unix:: may come in; the first rule that fits decides"},
    {"deny", kHereOrExcept, kOneArg, kMany, Rule<false>, "",
     "ADDRESS | NETWORK | all | unix:: gets 403"},
    {"satisfy", kHere, kOneArg, kOnce, Setting<OneOf<kSatisfy>, &Location::access, &A::satisfy_any>,
     "all", "all | any: whether address and password must both be good"},
    {"auth_basic", kHereOrExcept, kOneArg, kOnce, Realm, "off",
     "REALM | off: asks for a name and a password"},
    {"auth_basic_user_file", kHereOrExcept, kOneArg, kOnce, UserFile, "",
     "names and hashed passwords"},
    {"auth_request", kHere, kOneArg, kOnce, AuthRequestRow, "off",
     "URI | off: its answer decides: 2xx lets in, 401 and 403 do not"},
    {"auth_request_set", kHere, Takes(2), kMany, AuthRequestSet, "",
     "$NAME VALUE: a variable made of that answer"},
    {"auth_delay", kHere, kOneArg, kOnce, Setting<Duration, &Location::access, &A::auth_delay>, "0",
     "time by which 401 is delayed"},
});

}  // namespace

constinit const std::span<const Row> kAccessDirectives = kRows;

}  // namespace limpet::conf
