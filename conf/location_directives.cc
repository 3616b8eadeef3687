// location { } and what decides where a request goes inside a server.
#include <algorithm>
#include <array>
#include <iterator>

#include "base/file_text.h"
#include "conf/host_port.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/source_files.h"
#include "conf/status_zones.h"
#include "conf/tables.h"
#include "conf/upstream_server.h"
#include "proto/http1/message.h"

namespace limpet::conf {
namespace {

struct Written {
  LocationKind kind = LocationKind::kPrefix;
  bool ignore_case = false;
  std::string name;
};

bool Modifier(std::string_view text, Written* out) {
  if (text == "=") {
    out->kind = LocationKind::kExact;
  } else if (text == "^~") {
    out->kind = LocationKind::kPrefixNoRegex;
  } else if (text == "~" || text == "~*") {
    out->kind = LocationKind::kRegex;
    out->ignore_case = text == "~*";
  } else {
    return false;
  }
  return true;
}

// The modifier stands right before the name.
Written ReadJoined(std::string_view text) {
  Written out;
  out.name = text;
  for (const std::string_view modifier : {"=", "^~", "~*", "~"}) {
    if (!text.starts_with(modifier)) continue;
    Modifier(modifier, &out);
    out.name.erase(0, modifier.size());
    return out;
  }
  if (out.name.starts_with('@')) out.kind = LocationKind::kNamed;
  return out;
}

// One name, whose modifier may be a word of its own; or several, as in Angie.
Result<std::vector<Written>> ReadNames(const Directive& d) {
  Written first;
  if (d.args.size() == 2 && Modifier(d.args[0], &first)) {
    first.name = d.args[1];
    return std::vector{std::move(first)};
  }
  std::vector<Written> all;
  for (const std::string& word : d.args) {
    all.push_back(ReadJoined(word));
    if (d.args.size() == 1) break;
    const std::string& name = all.back().name;
    const bool is_name =
        name.starts_with('/') || name.starts_with('@') || name.size() < word.size();
    if (name.find_first_not_of("=~^*") == name.npos || !is_name)
      return InvalidArgument(fmt::format("invalid location modifier \"{}\"", word));
  }
  return all;
}

Status CheckNesting(const Location& outer, const Location& inner) {
  if (outer.kind == LocationKind::kRoot) return {};
  if (outer.kind == LocationKind::kExact) {
    return InvalidArgument(fmt::format("location \"{}\" cannot be inside the exact location \"{}\"",
                                       inner.name, outer.name));
  }
  if (outer.kind == LocationKind::kNamed) {
    return InvalidArgument(fmt::format("location \"{}\" cannot be inside the named location \"{}\"",
                                       inner.name, outer.name));
  }
  if (inner.kind == LocationKind::kNamed) {
    return InvalidArgument(
        fmt::format("named location \"{}\" can be on the server level only", inner.name));
  }
  if (inner.kind != LocationKind::kRegex && !inner.name.starts_with(outer.name)) {
    return InvalidArgument(
        fmt::format("location \"{}\" is outside location \"{}\"", inner.name, outer.name));
  }
  return {};
}

// Of two named locations with one name the first is found, as in nginx.
Status AddTo(LocationTree& tree, Location* location) {
  bool is_new = true;
  switch (location->kind) {
    case LocationKind::kExact:
      is_new = tree.exact.emplace(location->name, location).second;
      break;
    case LocationKind::kNamed:
      tree.named.emplace(location->name, location);
      break;
    case LocationKind::kRegex:
      tree.regexes.push_back(location);
      break;
    default:
      is_new = tree.prefixes.emplace(location->name, location).second;
  }
  if (!is_new) return InvalidArgument(fmt::format("duplicate location \"{}\"", location->name));
  return {};
}

Status AddLocation(Block& outer, const Directive& d, Written written) {
  auto owned = Inherit(*outer.location, written.kind);
  Location* const location = owned.get();
  location->name = std::move(written.name);
  if (location->kind == LocationKind::kRegex) {
    auto regex = CompileRegex(outer, d, location->name, written.ignore_case, &location->named);
    if (!regex) return At(d, regex.error().message);
    location->regex = std::move(*regex);
  }
  if (Status s = CheckNesting(*outer.location, *location); !s) return At(d, s.error().message);
  if (Status s = AddTo(outer.location->children, location); !s) return At(d, s.error().message);
  outer.server->locations.push_back(std::move(owned));
  Block block{.loader = outer.loader,
              .context = kLocation,
              .config = outer.config,
              .http = outer.http,
              .server = outer.server,
              .location = location,
              .script = &location->rewrite};
  return outer.loader.Apply(d.block, block);
}

// From the lines behind `end`, those that stand between `begin` and `end` already.
void DropRepeated(std::vector<std::string>* lines, size_t begin, size_t end) {
  const auto first = lines->begin() + static_cast<ptrdiff_t>(begin);
  const auto last = lines->begin() + static_cast<ptrdiff_t>(end);
  const auto is_there = [&](const std::string& line) {
    return std::find(first, last, line) != last;
  };
  lines->erase(std::remove_if(last, lines->end(), is_there), lines->end());
}

// Under several names it is as many locations, and one block to whoever is warned of it.
Status LocationBlock(Block& outer, const Directive& d) {
  auto names = ReadNames(d);
  if (!names) return At(d, names.error().message);
  auto &warnings = outer.config.warnings, &notices = outer.config.notices;
  const size_t warned_before = warnings.size(), noticed_before = notices.size();
  if (Status s = AddLocation(outer, d, std::move(names->front())); !s) return s;
  const size_t warned = warnings.size(), noticed = notices.size();
  for (size_t i = 1; i < names->size(); ++i) {
    if (Status s = AddLocation(outer, d, std::move((*names)[i])); !s) return s;
  }
  DropRepeated(&warnings, warned_before, warned);
  DropRepeated(&notices, noticed_before, noticed);
  return {};
}

Status LimitExcept(Block& outer, const Directive& d) {
  using proto::Method;
  uint32_t methods = 0;
  for (const std::string& word : d.args) {
    std::string name = word;
    for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
    const auto bit = [&]() -> std::optional<Method> {
      for (unsigned m = 0; m < static_cast<unsigned>(Method::kOther); ++m) {
        const auto method = static_cast<Method>(m);
        if (method != Method::kConnect && method != Method::kTrace && proto::Name(method) == name)
          return method;
      }
      return std::nullopt;
    }();
    if (!bit) return At(d, fmt::format("invalid method \"{}\"", word));
    methods |= 1u << static_cast<unsigned>(*bit);
  }
  if (methods & 1u << static_cast<unsigned>(Method::kGet))
    methods |= 1u << static_cast<unsigned>(Method::kHead);

  auto owned = Inherit(*outer.location, LocationKind::kLimitExcept);
  Location* const location = owned.get();
  outer.location->limit_except = location;
  outer.location->limit_except_methods = methods;
  outer.server->locations.push_back(std::move(owned));
  Block block{.loader = outer.loader,
              .context = kLimitExcept,
              .config = outer.config,
              .http = outer.http,
              .server = outer.server,
              .location = location};
  return outer.loader.Apply(d.block, block);
}

Status Internal(Block& b, const Directive&) {
  b.location->internal = true;
  return {};
}

// `error_page 502 504 =200 /x`: the last word is the page, `=` before it changes the code of the
// reply.
Status ErrorPageRow(Block& b, const Directive& d) {
  auto& pages = b.location->response.error_pages;
  if (b.First(&pages)) pages.clear();
  ErrorPage page;
  size_t codes = d.args.size() - 1;
  const std::string& before = d.args[codes - 1];
  if (before.starts_with('=')) {
    if (codes == 1) return InvalidForm(d, before, "codes stand before it");
    const auto code = ParseDecimal(std::string_view(before).substr(1));
    if (before.size() > 1 && (!code || *code > 999))
      return InvalidForm(d, before, "it is = alone, or =0 to =999");
    page.overwrite = before.size() > 1 ? static_cast<int>(*code) : 0;
    --codes;
  }
  for (size_t i = 0; i < codes; ++i) {
    const auto code = ParseDecimal(d.args[i]);
    if (!code || *code == 499)
      return InvalidForm(d, d.args[i], "a code is 300 to 599, and not 499");
    if (*code < 300 || *code > 599)
      return InvalidArgument(fmt::format("value \"{}\" must be between 300 and 599", d.args[i]));
    page.codes.push_back(static_cast<int>(*code));
  }
  if (Status s = Strings{}(b, d, d.args.back(), page.uri); !s) return s;
  pages.push_back(std::move(page));
  return {};
}

// An upstream's own, or a location's. One of an upstream without a time has that of http, which may
// not be known yet: see InheritResolvers.
std::shared_ptr<const Resolver>& ResolverOf(Block& b) {
  return b.upstream != nullptr ? b.upstream->resolver : b.location->resolver;
}

std::shared_ptr<Resolver> NewResolver(Block& b) {
  auto resolver = std::make_shared<Resolver>();
  if (b.upstream != nullptr) resolver->timeout = kInheritedTimeout;
  return resolver;
}

Error BadResolverParameter(std::string_view word, std::string_view what) {
  return InvalidArgument(fmt::format("invalid parameter: {}: {}", word, what));
}

// Those of resolv.conf(5), as they are now: a reload reads them again.
Status AddNameServersOf(const std::string& file, Resolver* resolver) {
  const Result<std::string> text = ReadFile(file);
  if (!text) return text.error();
  for (std::string_view line : Split(*text, '\n')) {
    constexpr std::string_view kWord = "nameserver";
    if (!line.starts_with(kWord)) continue;
    const std::string_view rest = TrimSpaces(line.substr(kWord.size()));
    const auto server = SocketAddress::ParseIp(rest.substr(0, rest.find_first_of(" \t#")), 53);
    if (server) resolver->servers.push_back(*server);
  }
  return {};
}

Status ResolverRow(Block& b, const Directive& d) {
  auto resolver = NewResolver(b);
  if (ResolverOf(b)) resolver->timeout = ResolverOf(b)->timeout;
  for (const std::string& word : d.args) {
    if (const auto valid = After(word, "valid=")) {
      const auto time = ParseTime(*valid, true);
      if (!time) return BadResolverParameter(word, "a time in whole seconds is 30s or 1h30m");
      resolver->valid = *time;
    } else if (const auto v4 = After(word, "ipv4=")) {
      if (*v4 != "on" && *v4 != "off") return BadResolverParameter(word, "it is on or off");
      resolver->ipv4 = *v4 == "on";
    } else if (const auto v6 = After(word, "ipv6=")) {
      if (*v6 != "on" && *v6 != "off") return BadResolverParameter(word, "it is on or off");
      resolver->ipv6 = *v6 == "on";
    } else if (const auto zone = After(word, "status_zone=")) {
      if (zone->empty()) return BadResolverParameter(word, "a zone has a name");
      resolver->status_zone = StatusZoneOf(*b.http, StatusZoneKind::kResolver, *zone, Where(d));
    } else if (const auto file = After(word, "conf="); file || word == "conf") {
      const std::string path = b.loader.FromConfDir(file.value_or("/etc/resolv.conf"));
      b.loader.NoteFile(d, path);
      if (Status s = AddNameServersOf(path, resolver.get()); !s) return s;
    } else {
      const auto refused = [&word](const Error& error) {
        return InvalidArgument(fmt::format("{} in resolver \"{}\"", error.message, word));
      };
      const Result<HostPort> written = ParseHostPort(word, 53, false);
      if (!written) return refused(written.error());
      const auto found = FindAddresses(*written);  // a name's all, as they are now
      if (!found) return refused(found.error());
      std::ranges::copy(*found, std::back_inserter(resolver->servers));
    }
  }
  if (resolver->servers.empty()) return InvalidArgument("no name servers defined");
  if (!resolver->ipv4 && !resolver->ipv6)
    return InvalidArgument("\"ipv4\" and \"ipv6\" cannot both be \"off\"");
  ResolverOf(b) = std::move(resolver);
  return {};
}

Status ResolverTimeout(Block& b, const Directive& d) {
  auto resolver = ResolverOf(b) ? std::make_shared<Resolver>(*ResolverOf(b)) : NewResolver(b);
  if (Status s = Duration{}(b, d, d.args[0], resolver->timeout); !s) return s;
  ResolverOf(b) = std::move(resolver);
  return {};
}

constexpr std::array kAutoRedirects = std::to_array<Choice<RedirectSettings::OwnSlash>>({
    {"on", RedirectSettings::OwnSlash::kOn},
    {"off", RedirectSettings::OwnSlash::kOff},
    {"default", RedirectSettings::OwnSlash::kIfProxied},
});

constexpr uint32_t kHere = kHttpServerLocation;
constexpr uint32_t kHereOrIf = kHttpServerLocation | kLocationIf;
using R = RedirectSettings;

Status MirrorRow(Block& b, const Directive& d) {
  std::vector<Template>& uris = b.location->mirror.uris;
  const bool first = b.First(&uris);
  if (first) uris.clear();
  if (d.args[0] == "off") {
    return first ? Status{} : InvalidArgument("\"mirror\" directive is duplicate");
  }
  return Strings{}(b, d, d.args[0], uris.emplace_back());
}

constexpr std::array kRows = std::to_array<Row>({
    {"location", kServer | kLocation, AtLeast(1), kBlock | kMany, LocationBlock, "",
     "[= | ^~ | ~ | ~*] URI, or @NAME: settings for a part of the paths; or several of them, each "
     "with its modifier before it: =/a =/b"},
    {"limit_except", kLocation, AtLeast(1), kBlock, LimitExcept, "",
     "settings for all methods but the named ones"},
    {"internal", kLocation, kNoArgs, kOnce, Internal, "",
     "only internal redirects reach this location"},
    {"mirror", kHere, kOneArg, kMany, MirrorRow, "off",
     "URI | off: this location gets a copy of each request; what it answers goes nowhere"},
    {"mirror_request_body", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::mirror, &Mirror::request_body>, "on", "copies have the body, too"},
    {"error_page", kHereOrIf, AtLeast(2), kMany, ErrorPageRow, "",
     "CODE … [=[CODE]] URI: what stands in for errors"},
    {"recursive_error_pages", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::response, &ResponseSettings::recursive_error_pages>, "off",
     "an error page's own errors may have a page, too"},
    {"absolute_redirect", kHere, kOneArg, kOnce, Setting<Flag, &Location::redirect, &R::absolute>,
     "on", "our own redirects name scheme and host"},
    {"port_in_redirect", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::redirect, &R::port_in_redirect>, "on",
     "our own redirects name the port"},
    {"server_name_in_redirect", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::redirect, &R::server_name_in_redirect>, "off",
     "our own redirects use the first server_name instead of Host"},
    {"resolver", kHere | kUpstream, AtLeast(1), kOnce, ResolverRow, "",
     "ADDRESS … | conf[=FILE] [valid=] [ipv4=on|off] [ipv6=on|off] [status_zone=NAME]: name "
     "servers for names met at run time; conf: those of /etc/resolv.conf, or of FILE; status_zone: "
     "questions are counted"},
    {"auto_redirect", kHere, kOneArg, kOnce,
     Setting<OneOf<kAutoRedirects>, &Location::redirect, &R::own_slash>, "default",
     "on | off | default: the location's name without its final slash is redirected to it; "
     "default: where it has a proxy_pass"},
    {"resolver_timeout", kHere | kUpstream, kOneArg, kOnce, ResolverTimeout, "30s",
     "time allowed to resolve a name"},
});

}  // namespace

constinit const std::span<const Row> kLocationDirectives = kRows;

}  // namespace limpet::conf
