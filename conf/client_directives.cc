// The client's side of an exchange: bodies, timeouts, kept connections, speed.
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

using C = ClientSettings;

constexpr std::array kInFileOnly = std::to_array<Choice<C::InFileOnly>>(
    {{"off", C::InFileOnly::kOff}, {"on", C::InFileOnly::kOn}, {"clean", C::InFileOnly::kClean}});
constexpr std::array kLingering = std::to_array<Choice<C::Lingering>>(
    {{"off", C::Lingering::kOff}, {"on", C::Lingering::kOn}, {"always", C::Lingering::kAlways}});
constexpr std::array kDisable =
    std::to_array<Choice<uint32_t>>({{"none", 0}, {"msie6", 1}, {"safari", 2}});

// The second value goes into the Keep-Alive header, in whole seconds; without it, that of the outer
// block stays.
Status KeepaliveTimeout(Block& b, const Directive& d) {
  C& client = b.location->client;
  if (Status s = Duration{}(b, d, d.args[0], client.keepalive_timeout); !s) return s;
  if (d.args.size() == 1) return {};
  Ms header{};
  if (Status s = Seconds{}(b, d, d.args[1], header); !s) return s;
  client.keepalive_header_timeout = header.count() / 1000;
  return {};
}

// Further words (levels, permissions of folders) shape nginx's tree of folders: files here lie flat
// in the first.
Status BodyTempPath(Block& b, const Directive& d) {
  return PrefixPath{}(b, d, d.args[0], b.location->client.body_temp_path);
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr uint32_t kHereOrIf = kHttpServerLocation | kLocationIf;

constexpr std::array kRows = std::to_array<Row>({
    {"client_max_body_size", kHere, kOneArg, kOnce,
     Setting<Offset, &Location::client, &C::max_body_size>, "1m",
     "a longer request body is refused with 413; 0: no limit"},
    {"client_body_buffer_size", kHere, kOneArg, kOnce,
     Setting<Size, &Location::client, &C::body_buffer_size>, "16k",
     "memory for a request body; what is longer goes to a file"},
    {"client_body_timeout", kHere, kOneArg, kOnce,
     Setting<Duration, &Location::client, &C::body_timeout>, "60s",
     "time allowed between two reads of a body"},
    {"client_body_temp_path", kHere, Takes(1, 2, 3, 4), kOnce, BodyTempPath,
     "/var/cache/limpet/client_body_temp", "folder for bodies that do not fit in memory"},
    {"client_body_in_file_only", kHere, kOneArg, kOnce,
     Setting<OneOf<kInFileOnly>, &Location::client, &C::body_in_file_only>, "off",
     "keep every body in a file"},
    {"client_body_in_single_buffer", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; $request_body is whole anyway"},
    {"send_timeout", kHere, kOneArg, kOnce, Setting<Duration, &Location::client, &C::send_timeout>,
     "60s", "time allowed between two writes to the client"},
    {"keepalive_timeout", kHere, Takes(1, 2), kOnce, KeepaliveTimeout, "75s",
     "TIME [HEADER]: how long an idle connection stays open; 0: not at all"},
    {"keepalive_requests", kHere, kOneArg, kOnce,
     Setting<Number<>, &Location::client, &C::keepalive_requests>, "1000",
     "requests on one connection"},
    {"keepalive_time", kHere, kOneArg, kOnce,
     Setting<Duration, &Location::client, &C::keepalive_time>, "1h",
     "age at which a connection is closed after its response"},
    {"keepalive_min_timeout", kHere, kOneArg, kOnce,
     Setting<Duration, &Location::client, &C::keepalive_min_timeout>, "0",
     "how long an idle connection is safe from a graceful stop, and from giving way to others"},
    {"keepalive_disable", kHere, AtLeast(1), kMany,
     Bits<kDisable, &Location::client, &C::keepalive_disable>, "msie6",
     "none | msie6 | safari …: browsers whose connections are not kept"},
    {"lingering_close", kHere, kOneArg, kOnce,
     Setting<OneOf<kLingering>, &Location::client, &C::lingering_close>, "on",
     "off | on | always: read what the client still sends before closing"},
    {"lingering_time", kHere, kOneArg, kOnce,
     Setting<Duration, &Location::client, &C::lingering_time>, "30s",
     "how long a closing connection is read at most"},
    {"lingering_timeout", kHere, kOneArg, kOnce,
     Setting<Duration, &Location::client, &C::lingering_timeout>, "5s",
     "how long a closing connection waits for more"},
    {"reset_timedout_connection", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::client, &C::reset_timedout_connection>, "off",
     "end connections that timed out, or by return 444, with RST"},
    {"tcp_nodelay", kHere, kOneArg, kOnce, Setting<Flag, &Location::client, &C::tcp_nodelay>, "on",
     "small pieces are sent at once; off: they wait for what was sent before (Nagle)"},
    {"tcp_nopush", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; a head always shares its packet with the file behind it"},
    {"limit_rate", kHereOrIf, kOneArg, kOnce,
     Setting<SizeTemplate, &Location::client, &C::limit_rate>, "0",
     "bytes a second to the client, but not of what is proxied unbuffered; 0: no limit"},
    {"limit_rate_after", kHereOrIf, kOneArg, kOnce,
     Setting<SizeTemplate, &Location::client, &C::limit_rate_after>, "0",
     "bytes sent before limit_rate applies"},
    {"postpone_output", kHere, kOneArg, kInert, Checked<Size, size_t>, "1460",
     "accepted; output is gathered per wake-up"},
    {"send_lowat", kHere, kOneArg, kInert, Checked<Size, size_t>, "0",
     "accepted; nginx ignores it on Linux, too"},
    {"subrequest_output_buffer_size", kHere, kOneArg, kInert, Checked<Size, size_t>, "4k",
     "accepted; answers of subrequests are not kept"},
    {"client_body_early_read", kHttp | kServer, AtLeast(1), kInert, Accepted, "",
     "accepted; bodies are read when they are needed"},
    {"fastcgi_temp_path", kHere, Takes(1, 2, 3, 4), kUndone, Accepted, "fastcgi_temp",
     "accepted with a warning; limpet proxies HTTP only"},
    {"uwsgi_temp_path", kHere, Takes(1, 2, 3, 4), kUndone, Accepted, "uwsgi_temp",
     "accepted with a warning; limpet proxies HTTP only"},
    {"scgi_temp_path", kHere, Takes(1, 2, 3, 4), kUndone, Accepted, "scgi_temp",
     "accepted with a warning; limpet proxies HTTP only"},
    {"output_buffers", kHere, Takes(2), kInert, Accepted, "2 32k", "accepted; buffers are shared"},
});

}  // namespace

constinit const std::span<const Row> kClientDirectives = kRows;

}  // namespace limpet::conf
