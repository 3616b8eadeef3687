// http2_*: HTTP/2 towards clients.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

constexpr size_t kStateSize = 16;  // nginx's smallest read
constexpr size_t kMaxWindow = (size_t{1} << 31) - 1;
constexpr size_t kMaxFrame = (size_t{1} << 24) - 1;
constexpr size_t kMinPool = 112, kPoolAlignment = 16;  // of nginx on 64 bits

struct RecvBufferSize {
  Status operator()(Block& b, const Directive& d, const std::string& text, size_t& out) const {
    if (Status s = Size{}(b, d, text, out); !s) return s;
    return out <= kStateSize ? Refuse(d, "value is too small") : Status{};
  }
};

struct PrereadSize {
  Status operator()(Block& b, const Directive& d, const std::string& text, size_t& out) const {
    if (Status s = Size{}(b, d, text, out); !s) return s;
    if (out <= kMaxWindow) return {};
    return InvalidArgument(fmt::format("the maximum body preread buffer size is {}", kMaxWindow));
  }
};

struct ChunkSize {
  Status operator()(Block& b, const Directive& d, const std::string& text, size_t& out) const {
    if (Status s = Size{}(b, d, text, out); !s) return s;
    if (out == 0) return InvalidArgument("the http2 chunk size cannot be zero");
    out = std::min(out, kMaxFrame);
    return {};
  }
};

struct PoolSize {
  Status operator()(Block& b, const Directive& d, const std::string& text, size_t& out) const {
    if (Status s = Size{}(b, d, text, out); !s) return s;
    if (out < kMinPool)
      return InvalidArgument(fmt::format("the pool size must be no less than {}", kMinPool));
    if (out % kPoolAlignment != 0)
      return InvalidArgument(fmt::format("the pool size must be a multiple of {}", kPoolAlignment));
    return {};
  }
};

struct PowerOfTwo {
  Status operator()(Block& b, const Directive& d, const std::string& text, size_t& out) const {
    if (Status s = Number<>{}(b, d, text, out); !s) return s;
    return out == 0 || (out & (out - 1)) != 0 ? Refuse(d, "must be a power of two") : Status{};
  }
};

// Directives of old versions: `now` took the place of some, others do nothing.
struct Replaced {
  std::string_view old;
  std::string_view now;
};
constexpr std::array kReplaced =
    std::to_array<Replaced>({{"http2_idle_timeout", "keepalive_timeout"},
                             {"http2_max_field_size", "large_client_header_buffers"},
                             {"http2_max_header_size", "large_client_header_buffers"},
                             {"http2_max_requests", "keepalive_requests"},
                             {"http2_recv_timeout", "client_header_timeout"}});

Status Obsolete(Block& b, const Directive& d) {
  const auto* found = std::ranges::find(kReplaced, d.name, &Replaced::old);
  b.loader.Warn(
      d, found == kReplaced.end()
             ? fmt::format("the \"{}\" directive is obsolete, ignored", d.name)
             : fmt::format("the \"{}\" directive is obsolete, use the \"{}\" directive instead",
                           d.name, found->now));
  return {};
}

using H = Http2Settings;
constexpr uint32_t kHere = kHttp | kServer;

constexpr std::array kRows = std::to_array<Row>({
    {"http2", kHere, kOneArg, kOnce, Setting<Flag, &H::enabled>, "off",
     "speak HTTP/2 with clients: by ALPN over TLS, by its preface (h2c) without"},
    {"http2_websocket", kHere, kOneArg, kOnce, Setting<Flag, &H::websocket>, "off",
     "WebSockets over HTTP/2 (extended CONNECT, RFC 8441); an upstream sees an Upgrade"},
    {"http2_max_concurrent_streams", kHere, kOneArg, kOnce,
     Setting<Number<>, &H::max_concurrent_streams>, "128", "requests of one connection at a time"},
    {"http2_body_preread_size", kHere, kOneArg, kOnce, Setting<PrereadSize, &H::body_preread_size>,
     "64k", "how much of a request body may come before it is asked for"},
    {"http2_chunk_size", kHttpServerLocation, kOneArg, kOnce,
     Setting<ChunkSize, &Location::http2_chunk_size>, "8k",
     "the longest piece of a response body in a frame; if not set, up to 16k of what is in memory"},
    {"http2_recv_buffer_size", kHttp, kOneArg, kOnce,
     Setting<RecvBufferSize, &conf::Http::http2_recv_buffer_size>, "256k",
     "memory for what a worker reads of a connection at once"},
    {"http2_pool_size", kHere, kOneArg, kInert, Checked<PoolSize, size_t>, "4k",
     "accepted; memory for a request's strings comes in blocks that are shared"},
    {"http2_streams_index_size", kHere, kOneArg, kInert, Checked<PowerOfTwo, size_t>, "32",
     "accepted; hashes grow by themselves"},
    {"http2_max_requests", kHere, kOneArg, kMany, Obsolete, "", "obsolete: keepalive_requests"},
    {"http2_idle_timeout", kHere, kOneArg, kMany, Obsolete, "", "obsolete: keepalive_timeout"},
    {"http2_recv_timeout", kHere, kOneArg, kMany, Obsolete, "", "obsolete: client_header_timeout"},
    {"http2_max_field_size", kHere, kOneArg, kMany, Obsolete, "",
     "obsolete: large_client_header_buffers"},
    {"http2_max_header_size", kHere, kOneArg, kMany, Obsolete, "",
     "obsolete: large_client_header_buffers"},
    {"http2_max_concurrent_pushes", kHere, kOneArg, kMany, Obsolete, "",
     "obsolete: nothing is pushed"},
    {"http2_push", kHttpServerLocation, kOneArg, kMany, Obsolete, "",
     "obsolete: nothing is pushed"},
    {"http2_push_preload", kHttpServerLocation, kOneArg, kMany, Obsolete, "",
     "obsolete: nothing is pushed"},
});

}  // namespace

constinit const std::span<const Row> kHttp2Directives = kRows;

}  // namespace limpet::conf
