#include "conf/syslog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/socket_address.h"
#include "base/text.h"
#include "conf/host_port.h"

namespace limpet::conf {
namespace {

// RFC 5424 6.2.1; names by number.
constexpr std::array<std::string_view, 24> kFacilities = {
    "kern",   "user",   "mail",     "daemon", "auth",   "intern", "lpr",    "news",
    "uucp",   "clock",  "authpriv", "ftp",    "ntp",    "audit",  "alert",  "cron",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};

// A name is looked up here, at load: logs do not wait for a name server.
Status Server(std::string_view value, SyslogSpec* spec) {
  const Result<HostPort> address = ParseHostPort(value, 514, false);
  if (!address)
    return InvalidArgument(
        fmt::format("{} in syslog server \"{}\"", address.error().message, value));
  spec->server = value;
  if (address->is_unix || SocketAddress::Parse(value, 514)) return {};
  const auto found = SocketAddress::Resolve(address->host, address->port);
  if (!found) return InvalidArgument(fmt::format("host not found in syslog server \"{}\"", value));
  spec->server = found->front().ToString();
  return {};
}

Status Facility(std::string_view value, SyslogSpec* spec) {
  const auto it = std::find(kFacilities.begin(), kFacilities.end(), value);
  if (it == kFacilities.end())
    return InvalidArgument(fmt::format("unknown syslog facility \"{}\": it is one of {}", value,
                                       fmt::join(kFacilities, ", ")));
  spec->facility = static_cast<int>(it - kFacilities.begin());
  return {};
}

Status Tag(std::string_view value, SyslogSpec* spec) {
  constexpr size_t kMaxTag = 32;  // RFC 3164 4.1.3
  if (value.empty() || value.size() > kMaxTag) {
    return InvalidArgument(
        fmt::format("syslog tag length exceeds {}, or is 0: \"{}\"", kMaxTag, value));
  }
  for (const char c : value) {
    const char l = AsciiLower(c);
    if (!IsDigit(c) && (l < 'a' || l > 'z') && c != '_') {
      return InvalidArgument("syslog \"tag\" only allows alphanumeric characters and underscore");
    }
  }
  spec->tag = value;
  return {};
}

Status Parameter(std::string_view text, SyslogSpec* spec) {
  if (text == "nohostname") {
    spec->hostname = false;
    return {};
  }
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  if (name == "server") {
    if (!spec->server.empty()) return InvalidArgument("duplicate syslog \"server\"");
    return Server(value, spec);
  }
  if (name == "facility") return Facility(value, spec);
  if (name == "tag") return Tag(value, spec);
  if (name == "severity") {
    const auto level = ParseLogLevel(value);
    if (!level)
      return InvalidArgument(
          fmt::format("unknown syslog severity \"{}\": it is debug, info, notice, warn, error, "
                      "crit, alert or emerg",
                      value));
    spec->severity = *level;
    return {};
  }
  return InvalidArgument(fmt::format(
      "unknown syslog parameter \"{}\": it is server=, facility=, severity=, tag= or nohostname",
      text));
}

}  // namespace

Result<SyslogSpec> ParseSyslog(std::string_view text, std::string_view tag) {
  SyslogSpec spec;
  spec.tag = tag;
  text.remove_prefix(std::string_view("syslog:").size());
  for (const std::string_view part : Split(text, ',')) {
    if (Status s = Parameter(part, &spec); !s) return s.error();
  }
  if (spec.server.empty()) return InvalidArgument("no syslog server specified");
  return spec;
}

}  // namespace limpet::conf
