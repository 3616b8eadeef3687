// health_check and match: how the servers of an upstream are probed, and which answers are good.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status Positive(const std::string& parameter, std::string_view value, int* out) {
  const auto n = ParseDecimal(value);
  if (!n || *n < 1 || *n > INT32_MAX) return InvalidCount(parameter, 1, INT32_MAX);
  *out = static_cast<int>(*n);
  return {};
}

Status Time(const std::string& parameter, std::string_view value, bool may_be_zero, Ms* out) {
  const auto time = ParseTime(value, false);
  if (!time || (time->count() == 0 && !may_be_zero))
    return InvalidParameter(parameter, "a time is 500ms, 30s or 1h30m");
  *out = *time;
  return {};
}

Status Port(const std::string& parameter, std::string_view value, HealthCheck* check) {
  const auto port = ParseDecimal(value);
  if (!port || *port < 1 || *port > 65535) return InvalidCount(parameter, 1, 65535);
  check->port = static_cast<uint16_t>(*port);
  return {};
}

Status Type(const std::string& parameter, std::string_view value, HealthCheck* check) {
  check->tcp = value == "tcp";
  return check->tcp || value == "http" ? Status{}
                                       : InvalidParameter(parameter, "it is http or tcp");
}

Status MatchName(const Http& http, std::string_view value, HealthCheck* check) {
  for (size_t i = 0; i < http.matches.size(); ++i) {
    if (http.matches[i].name == value) check->match = static_cast<int>(i);
  }
  if (check->match >= 0) return {};
  return InvalidArgument(fmt::format("match \"{}\" is not defined", value));
}

Status Parameter(const Http& http, const std::string& text, HealthCheck* check) {
  if (text == "mandatory") return check->mandatory = true, Status{};
  if (text == "persistent") return check->persistent = true, Status{};
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return InvalidParameter(text);
  const std::string_view name = std::string_view(text).substr(0, equals);
  const std::string_view value = std::string_view(text).substr(equals + 1);
  if (name == "interval") return Time(text, value, false, &check->interval);
  if (name == "jitter") return Time(text, value, true, &check->jitter);
  if (name == "fails") return Positive(text, value, &check->fails);
  if (name == "passes") return Positive(text, value, &check->passes);
  if (name == "port") return Port(text, value, check);
  if (name == "type") return Type(text, value, check);
  if (name == "match") return MatchName(http, value, check);
  if (name == "uri") {
    if (!value.starts_with('/')) return InvalidParameter(text, "a path begins with /");
    check->uri = value;
    return {};
  }
  if (name == "keepalive_time") {  // each of our checks has a connection of its own
    Ms ignored{};
    return Time(text, value, true, &ignored);
  }
  return InvalidParameter(text);
}

// The location's proxy_pass is known by now (kOrdered), and its upstream complete (kEarly).
Status AddCheck(Block& b, const HealthCheck& check) {
  const ProxyPass& pass = b.location->proxy.pass;
  if (!pass.set || pass.has_variables) {
    return InvalidArgument("\"health_check\" needs a \"proxy_pass\" without variables");
  }
  Upstream& upstream = *b.http->upstreams[static_cast<size_t>(pass.upstream)];
  if (upstream.zone.empty()) {
    return InvalidArgument(fmt::format(
        "\"health_check\" requires upstream \"{}\" to be in shared memory, add a \"zone\" to it",
        upstream.name));
  }
  if (upstream.checks.size() == Upstream::kMaxChecks) {
    return InvalidArgument(fmt::format("upstream \"{}\" has more than {} health checks",
                                       upstream.name, Upstream::kMaxChecks));
  }
  upstream.checks.push_back(b.location);
  if (!check.mandatory) return {};
  upstream.persistent = check.persistent && (upstream.persistent || !upstream.mandatory);
  upstream.mandatory = true;
  return {};
}

Status HealthCheckRow(Block& b, const Directive& d) {
  HealthCheck check;
  for (const std::string& text : d.args) {
    if (Status s = Parameter(*b.http, text, &check); !s) return s;
  }
  if (Status s = AddCheck(b, check); !s) return s;
  b.location->health_check = std::move(check);
  return {};
}

// `200`, `300-303`
Status AddStatus(const std::string& text, Match* match) {
  const size_t dash = text.find('-');
  const auto first = ParseDecimal(std::string_view(text).substr(0, dash));
  const auto last =
      dash == std::string::npos ? first : ParseDecimal(std::string_view(text).substr(dash + 1));
  if (!first || !last || *first < 100 || *last > 999 || *first > *last) {
    return InvalidArgument(
        fmt::format("invalid status \"{}\": it is 100 to 999, or a range as 300-303", text));
  }
  match->statuses.push_back({static_cast<int>(*first), static_cast<int>(*last)});
  return {};
}

Status StatusTest(const Directive& d, Match* match) {
  if (!match->statuses.empty()) return InvalidArgument("\"status\" directive is duplicate");
  match->statuses_negated = !d.args.empty() && d.args[0] == "!";
  for (size_t i = match->statuses_negated ? 1 : 0; i < d.args.size(); ++i) {
    if (Status s = AddStatus(d.args[i], match); !s) return s;
  }
  if (!match->statuses.empty()) return {};
  return InvalidArgument("invalid number of arguments in \"status\" directive");
}

Status Pattern(const std::string& text, std::shared_ptr<const Regex>* regex) {
  Result<std::shared_ptr<const Regex>> compiled = Regex::Compile(text, false);
  if (!compiled) return compiled.error();
  *regex = std::move(*compiled);
  return {};
}

// `header NAME`, `header ! NAME`, `header NAME = | != | ~ | !~ VALUE`
Status HeaderTest(const Directive& d, Match* match) {
  using Test = HeaderMatch::Test;
  HeaderMatch header;
  const auto& args = d.args;
  if (args.size() == 1 || (args.size() == 2 && args[0] == "!")) {
    header.name = ToLower(args.back());
    header.test = args.size() == 1 ? Test::kPresent : Test::kAbsent;
    match->headers.push_back(std::move(header));
    return {};
  }
  if (args.size() != 3)
    return InvalidArgument("invalid number of arguments in \"header\" directive");
  header.name = ToLower(args[0]);
  header.value = args[2];
  const bool negated = args[1].starts_with('!');
  if (args[1] == "=" || args[1] == "!=") {
    header.test = negated ? Test::kNotEqual : Test::kEqual;
  } else if (args[1] == "~" || args[1] == "!~") {
    header.test = negated ? Test::kNotRegex : Test::kRegex;
    if (Status s = Pattern(args[2], &header.regex); !s) return s;
  } else {
    return InvalidParameter(args[1], "it is =, !=, ~ or !~");
  }
  match->headers.push_back(std::move(header));
  return {};
}

Status BodyTest(const Directive& d, Match* match) {
  if (match->body) return InvalidArgument("\"body\" directive is duplicate");
  if (d.args.size() != 2)
    return InvalidArgument("invalid number of arguments in \"body\" directive");
  if (d.args[0] != "~" && d.args[0] != "!~") return InvalidParameter(d.args[0], "it is ~ or !~");
  match->body_negated = d.args[0] == "!~";
  return Pattern(d.args[1], &match->body);
}

Status Line(const Directive& d, Match* match) {
  if (d.name == "status") return StatusTest(d, match);
  if (d.name == "header") return HeaderTest(d, match);
  if (d.name == "body") return BodyTest(d, match);
  return InvalidArgument(
      fmt::format("unknown directive \"{}\": a match has status, header and body", d.name));
}

Status MatchBlock(Block& b, const Directive& d) {
  Match match;
  match.name = d.args[0];
  for (const Match& other : b.http->matches) {
    if (other.name == match.name) return At(d, fmt::format("duplicate match \"{}\"", match.name));
  }
  for (const Directive& line : d.block) {
    if (line.has_block) return NestedBlockHere(line);
    if (Status s = Line(line, &match); !s) return At(line, s.error().message);
  }
  b.http->matches.push_back(std::move(match));
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"health_check", kLocation, AtLeast(0), kOrdered, HealthCheckRow, "",
     "[interval=5s] [jitter=0] [fails=1] [passes=1] [uri=/] [port=] [type=http|tcp] [match=NAME] "
     "[mandatory] [persistent]: the location's upstream servers are probed"},
    {"match", kHttp, kOneArg, kBlock | kMany | kEarly, MatchBlock, "",
     "NAME { status …; header …; body ~ …; }: which answers to a health check are good"},
});

}  // namespace

constinit const std::span<const Row> kHealthCheckDirectives = kRows;

}  // namespace limpet::conf
