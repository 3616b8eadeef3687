// proxy_*: where a request goes, how long that may take, and how bodies flow. Heads:
// proxy_rewriting_directives.cc.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/upstream_server.h"

namespace limpet::conf {
namespace {

using P = ProxySettings;

constexpr std::array kNextWords = std::to_array<Choice<uint32_t>>({
    {"error", kNextError},
    {"timeout", kNextTimeout},
    {"invalid_header", kNextInvalidHeader},
    {"http_500", kNext500},
    {"http_502", kNext502},
    {"http_503", kNext503},
    {"http_504", kNext504},
    {"http_403", kNext403},
    {"http_404", kNext404},
    {"http_429", kNext429},
    {"updating", 0},  // is about caches, which we do not have
    {"non_idempotent", kNextNonIdempotent},
    {"off", kNextOff},
});
constexpr std::array kVersions = std::to_array<Choice<int>>({{"1.0", 10}, {"1.1", 11}});

bool IsUriForbidden(LocationKind kind) {
  return kind == LocationKind::kRegex || kind == LocationKind::kNamed ||
         kind == LocationKind::kIf || kind == LocationKind::kLimitExcept;
}

Status ConstantUrl(Block& b, const Directive& d, ProxyPass* pass) {
  const std::string& url = d.args[0];
  pass->https = StartsWithIgnoreCase(url, "https://");
  if (!pass->https && !StartsWithIgnoreCase(url, "http://"))
    return InvalidArgument(
        fmt::format("invalid URL prefix in \"{}\": it begins with http:// or https://", url));
  const uint16_t default_port = pass->https ? 443 : 80;
  const std::string rest = url.substr(pass->https ? 8 : 7);
  const Result<HostPort> address = ParseHostPort(rest, default_port, true);
  if (!address)
    return InvalidArgument(fmt::format("{} in upstream \"{}\"", address.error().message, rest));
  pass->has_uri = !address->uri.empty();
  pass->uri = address->uri;
  if (pass->has_uri && IsUriForbidden(b.location->kind)) {
    return InvalidArgument(
        "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside "
        "named location, or "
        "inside \"if\" statement, or inside \"limit_except\" block");
  }
  if (address->is_unix) {
    pass->host_header = "localhost";
  } else {
    const bool is_default = !address->has_port || address->port == default_port;
    pass->host_header = is_default ? address->host : address->name();
    pass->port = std::to_string(address->port);
  }
  const Result<int> upstream = FindOrMakeUpstream(b, d, *address);
  if (!upstream) return upstream.error();
  pass->upstream = *upstream;
  return {};
}

Status Pass(Block& b, const Directive& d) {
  Location& location = *b.location;
  ProxyPass pass;
  pass.set = true;
  if (Status s = Strings{}(b, d, d.args[0], pass.url); !s) return s;
  pass.has_variables = !pass.url.is_constant();
  if (!pass.has_variables) {
    if (Status s = ConstantUrl(b, d, &pass); !s) return s;
    WarnOfSlashes(b, d, pass.uri);
  }
  location.proxy.pass = std::move(pass);
  return {};
}

Status Buffers(Block& b, const Directive& d) {
  if (Status s = Number<2>{}(b, d, d.args[0], b.location->proxy.buffers_count); !s) return s;
  return Size{}(b, d, d.args[1], b.location->proxy.buffers_size);
}

Status TempPath(Block& b, const Directive& d) {
  return PrefixPath{}(b, d, d.args[0], b.location->proxy.temp_path);
}

Status Bind(Block& b, const Directive& d) {
  auto& proxy = b.location->proxy;
  proxy.bind_transparent = false;
  if (d.args.size() == 2) {
    if (d.args[1] != "transparent") return InvalidParameter(d.args[1]);
    proxy.bind_transparent = true;
    b.config.binds_transparently = true;
  }
  if (Status s = Strings{}(b, d, d.args[0], proxy.bind); !s) return s;
  if (!proxy.bind->is_constant()) return {};
  if (proxy.bind->constant() == "off") {
    proxy.bind.reset();
    return {};
  }
  if (!SocketAddress::ParseIp(d.args[0], 0) && !SocketAddress::Parse(d.args[0], 0)) {
    return InvalidArgument(fmt::format("invalid address \"{}\"", d.args[0]));
  }
  return {};
}

// Values that would be asked for at each request: their variables must be known.
Status CachePath(Block& b, const Directive& d) {
  for (const std::string& text : d.args) {
    if (!text.starts_with("keys_zone=")) continue;
    const std::string zone = text.substr(0, text.find(':'));
    if (!b.loader.left_out.insert(zone).second)
      return InvalidArgument(fmt::format("duplicate zone in \"{}\"", zone));
  }
  return {};
}

Status Conditions(Block& b, const Directive& d) {
  for (const std::string& text : d.args) {
    if (const auto value = CompileTemplate(b, d, text); !value) return value.error();
  }
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr auto kProxy = &Location::proxy;

constexpr std::string_view kNothing = "accepted; responses are not kept";
constexpr std::string_view kLeftOut = "accepted with a warning; responses are not kept";

constexpr std::array kRows = std::to_array<Row>({
    {"proxy_pass", kLocation | kLocationIf | kLimitExcept, kOneArg, kOnce, Pass, "",
     "http://UPSTREAM[URI]: where requests go; variables are allowed"},
    {"proxy_http_version", kHere, kOneArg, kOnce,
     Setting<OneOf<kVersions>, kProxy, &P::http_version>, "1.1",
     "1.0 | 1.1: the version spoken to upstreams"},
    {"proxy_connect_timeout", kHere, kOneArg, kOnce, Setting<Duration, kProxy, &P::connect_timeout>,
     "60s", "time allowed to connect to an upstream server"},
    {"proxy_send_timeout", kHere, kOneArg, kOnce, Setting<Duration, kProxy, &P::send_timeout>,
     "60s", "time allowed between two writes to an upstream server"},
    {"proxy_read_timeout", kHere, kOneArg, kOnce, Setting<Duration, kProxy, &P::read_timeout>,
     "60s", "time allowed for a response's head, and between two reads of its body"},
    {"proxy_next_upstream", kHere, AtLeast(1), kMany, Bits<kNextWords, kProxy, &P::next_upstream>,
     "error timeout",
     "error | timeout | invalid_header | http_CODE | non_idempotent | off …: when another server "
     "is tried"},
    {"proxy_next_upstream_tries", kHere, kOneArg, kOnce,
     Setting<Number<>, kProxy, &P::next_upstream_tries>, "0",
     "servers tried for a request; 0: all"},
    {"proxy_next_upstream_timeout", kHere, kOneArg, kOnce,
     Setting<Duration, kProxy, &P::next_upstream_timeout>, "0",
     "time after which no other server is tried; 0: no limit"},
    {"proxy_buffering", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::buffering>, "on",
     "take the response from the server as fast as it comes"},
    {"proxy_request_buffering", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::request_buffering>,
     "on", "read the whole request body before a server is asked"},
    {"proxy_buffer_size", kHere, kOneArg, kOnce, Setting<Size, kProxy, &P::buffer_size>, "4k",
     "buffer for the response head"},
    {"proxy_buffers", kHere, Takes(2), kOnce, Buffers, "8 4k",
     "COUNT SIZE: buffers for a response"},
    {"proxy_busy_buffers_size", kHere, kOneArg, kInert, Checked<Size, size_t>, "8k",
     "accepted; what waits for the client is bounded by proxy_buffers"},
    {"proxy_max_temp_file_size", kHere, kOneArg, kOnce,
     Setting<Offset, kProxy, &P::max_temp_file_size>, "1024m",
     "how much of a response may wait in a file; 0: none"},
    {"proxy_temp_file_write_size", kHere, kOneArg, kInert, Checked<Size, size_t>, "8k",
     "accepted; files are written as their bytes come"},
    {"proxy_temp_path", kHere, Takes(1, 2, 3, 4), kOnce, TempPath, "/var/cache/limpet/proxy_temp",
     "folder for responses that wait"},
    {"proxy_limit_rate", kHere, kOneArg, kOnce, Setting<SizeTemplate, kProxy, &P::limit_rate>, "0",
     "bytes a second from an upstream server; 0: no limit"},
    {"proxy_intercept_errors", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::intercept_errors>,
     "off", "error_page applies to upstream responses"},
    {"proxy_ignore_client_abort", kHere, kOneArg, kOnce,
     Setting<Flag, kProxy, &P::ignore_client_abort>, "off", "go on when the client has gone"},
    {"proxy_socket_keepalive", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::socket_keepalive>,
     "off", "SO_KEEPALIVE on upstream connections"},
    {"proxy_force_ranges", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::force_ranges>, "off",
     "byte ranges of responses whatever Accept-Ranges says"},
    {"proxy_bind", kHere, Takes(1, 2), kOnce, Bind, "",
     "ADDRESS [transparent] | off: the local address of upstream connections"},
    {"proxy_socket_rcvbuf", kHere, kOneArg, kInert, Checked<Size, size_t>, "",
     "accepted; the kernel sizes socket buffers"},
    {"proxy_socket_sndbuf", kHere, kOneArg, kInert, Checked<Size, size_t>, "",
     "accepted; the kernel sizes socket buffers"},
    {"proxy_send_lowat", kHere, kOneArg, kInert, Checked<Size, size_t>, "0",
     "accepted; nginx ignores it on Linux, too"},
    {"proxy_headers_hash_max_size", kHere, kOneArg, kInert, Checked<Number<>, int>, "512",
     "accepted; hashes grow by themselves"},
    {"proxy_headers_hash_bucket_size", kHere, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
    {"proxy_cache", kHere, kOneArg, kUndone, Accepted, "off", kLeftOut},
    {"proxy_cache_background_update", kHere, kOneArg, kInert, Checked<Flag, bool>, "off", kNothing},
    {"proxy_cache_bypass", kHere, AtLeast(1), kMany | kInert, Conditions, "", kNothing},
    {"proxy_cache_convert_head", kHere, kOneArg, kInert, Checked<Flag, bool>, "on", kNothing},
    {"proxy_cache_key", kHere, kOneArg, kInert, Conditions, "$scheme$proxy_host$request_uri",
     kNothing},
    {"proxy_cache_lock", kHere, kOneArg, kInert, Checked<Flag, bool>, "off", kNothing},
    {"proxy_cache_lock_age", kHere, kOneArg, kInert, Checked<Duration, Ms>, "5s", kNothing},
    {"proxy_cache_lock_timeout", kHere, kOneArg, kInert, Checked<Duration, Ms>, "5s", kNothing},
    {"proxy_cache_max_range_offset", kHere, kOneArg, kInert, Checked<Offset, int64_t>, "",
     kNothing},
    {"proxy_cache_methods", kHere, AtLeast(1), kMany | kInert, Accepted, "GET HEAD", kNothing},
    {"proxy_cache_min_uses", kHere, kOneArg, kInert, Checked<Number<>, int>, "1", kNothing},
    {"proxy_cache_revalidate", kHere, kOneArg, kInert, Checked<Flag, bool>, "off", kNothing},
    {"proxy_cache_use_stale", kHere, AtLeast(1), kMany | kInert, Accepted, "off", kNothing},
    {"proxy_cache_valid", kHere, AtLeast(1), kMany | kInert, Accepted, "", kNothing},
    {"proxy_no_cache", kHere, AtLeast(1), kMany | kInert, Conditions, "", kNothing},
    {"proxy_cache_path", kHttp, AtLeast(2), kMany | kUndone, CachePath, "", kLeftOut},
    {"proxy_store", kHere, kOneArg, kUndone, Accepted, "off", kLeftOut},
    {"proxy_store_access", kHere, Takes(1, 2, 3), kInert, Accepted, "user:rw", kNothing},
    {"slice", kHere, kOneArg, kUndone, Checked<Size, size_t>, "0",
     "accepted with a warning; responses are not kept, so there is nothing to keep in slices"},
});

}  // namespace

constinit const std::span<const Row> kProxyDirectives = kRows;

}  // namespace limpet::conf
