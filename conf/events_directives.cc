// events { }
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status Use(Block&, const Directive& d) {
  if (d.args[0] != "epoll")
    return InvalidArgument(fmt::format("invalid event type \"{}\": it is epoll", d.args[0]));
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"worker_connections", kEvents, kOneArg, kOnce, Setting<Number<1>, &Config::worker_connections>,
     "512",
     "connections of a worker: to clients, upstreams, name servers and all others; when they are "
     "all "
     "taken, the connection that has been idle longest gives way"},
    {"use", kEvents, kOneArg, kOnce, Use, "epoll", "event method; only epoll is there"},
    {"multi_accept", kEvents, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; workers take connections in turn"},
    {"accept_mutex", kEvents, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; the kernel shares connections out"},
    {"accept_mutex_delay", kEvents, kOneArg, kInert, Checked<Duration, Ms>, "500ms",
     "accepted; the kernel shares connections out"},
    {"worker_aio_requests", kEvents, kOneArg, kInert, Checked<Number<1>, int>, "32",
     "accepted; files are not read with AIO"},
    {"epoll_events", kEvents, kOneArg, kInert, Checked<Number<>, int>, "512",
     "accepted; events are taken as they come"},
    {"debug_connection", kEvents, kOneArg, kMany | kInert, Accepted, "",
     "accepted; debug lines come from error_log … debug"},
});

}  // namespace

constinit const std::span<const Row> kEventsDirectives = kRows;

}  // namespace limpet::conf
