// A client's connection with exchanges behind it, in a worker's loop: what a client sends, piece by
// piece, and what an upstream answers. The input is
//   the upstream's answer, and after each line "--" one piece of the client's bytes.
// However both behave: the client reads responses and nothing else, the upstream requests; log
// lines are one line; and when both have gone, nothing of them is left.
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/worker/messages.h"
#include "tests/fuzz/worker/origin.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"
#include "worker/net/plain_transport.h"

using namespace limpet;
using namespace limpet::worker;

namespace {

// @ORIGIN@ is the upstream's socket.
constexpr std::string_view kText = R"(
  events {}
  http {
    log_format all '$request $uri $args $http_x $status $sent_http_location $upstream_addr';
    access_log /dev/null all;
    client_header_buffer_size 256;
    large_client_header_buffers 2 2k;
    client_max_body_size 8k;
    client_body_buffer_size 8k;
    keepalive_requests 8;
    gzip_types *;
    gzip_min_length 1;
    proxy_ignore_headers X-Accel-Limit-Rate;  # nobody waits here
    upstream app { server unix:@ORIGIN@ max_fails=0; keepalive 2; }
    map $http_x $mapped { default $http_x; ~^(?<first>a+) $first; }
    server {
      listen 127.0.0.1:80;
      server_name fuzz ~^(?<sub>.+)\.fuzz$;
      add_header X-Uri $uri;
      add_header X-Arg $arg_a;
      proxy_set_header X-Mapped $mapped;
      location / { return 200 "hello $uri $arg_a\n"; }
      location /proxy { proxy_pass http://app; }
      location /replaced/ { proxy_pass http://app/base/; proxy_redirect default; gzip on; }
      location /stream { proxy_pass http://app; proxy_buffering off; proxy_request_buffering off;
                         proxy_http_version 1.1; proxy_set_header Connection ""; }
      location /next { proxy_pass http://app; proxy_next_upstream error http_404;
                       proxy_intercept_errors on; error_page 404 500 /missing; }
      location /small { client_max_body_size 10; proxy_pass http://app; }
      location /redirect { return 301 /elsewhere?$args; }
      location /missing { return 404 "$uri"; }
      location /rewrite { rewrite ^/rewrite/(.*)$ /proxy/$1?x=$uri; }
      location /try { try_files $uri /proxy?q=$uri; }
      location /auth { auth_request /allowed; proxy_pass http://app; }
      location = /allowed { internal; proxy_pass http://app; }
      location /sub { sub_filter a bb; sub_filter_types *; sub_filter_once off;
                      proxy_pass http://app; }
    }
  }
)";

std::string TextFor(const std::string& origin) {
  constexpr std::string_view kPlace = "@ORIGIN@";
  std::string text(kText);
  return text.replace(text.find(kPlace), kPlace.size(), origin);
}

class OneLineLog final : public LogTarget {
 public:
  void Write(LogLevel, std::string_view line) override {
    FUZZ_CHECK(std::ranges::none_of(line, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }),
               "a control character in the error log");
  }
  Status Reopen() override { return {}; }
};

// A worker without a master, made once: its loop, its runtime, its upstream server.
class TestWorker {
 public:
  TestWorker() : origin_(loop_), config_(*conf::LoadText(TextFor(origin_.path()), kOptions)) {
    for (Log& log : logs_) log.Add(&log_target_, LogLevel::kInfo);
    for (const conf::ListenGroup& group : runtime_.http.listens)
      runtime_.names.push_back(std::make_unique<ServerNames>(group));
    runtime_.access_logs = std::make_unique<AccessLogs>(runtime_.http, loop_, logs_[0]);
    for (const auto& upstream : runtime_.http.upstreams) {
      runtime_.upstreams.push_back(
          std::make_unique<UpstreamRuntime>(loop_, *upstream, nullptr, 0, StickySessions{}));
    }
  }

  fuzz::Origin& origin() { return origin_; }

  // The client's end of a new connection.
  UniqueFd Connect() {
    int ends[2];
    FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
               "no descriptors");
    ClientInfo info;
    info.number = runtime_.next_connection_number();
    info.listen = &runtime_.http.listens[0];
    info.remote = *SocketAddress::ParseIp("127.0.0.2", 1234);
    info.remote_host = info.remote.HostString();
    info.started_ms = loop_.NowMs();
    connections_.Add(PlainTransport::Adopt(loop_, UniqueFd(ends[0])), std::move(info));
    return UniqueFd(ends[1]);
  }

  // One pass of the loop, which does not wait.
  void Pass() {
    wake_.Schedule();
    loop_.RunOnce();
  }

  // The end of a client whose connection is not registered yet is heard a little later.
  void WaitForEnd() {
    constexpr uint64_t kLongestMs = 300;
    const uint64_t until_ms = MonotonicMs() + kLongestMs;
    while (connections_.size() > 0 && MonotonicMs() < until_ms) Pass();
  }

  void CheckNothingIsLeft() {
    const shm::WorkerCounters& counters = runtime_.own_counters;
    FUZZ_CHECK(connections_.size() == 0, "the connection lives on");
    FUZZ_CHECK(counters.active == 0 && counters.reading == 0 && counters.writing == 0 &&
                   counters.waiting == 0,
               "it is still counted");
    FUZZ_CHECK(blocks_.in_use() == 0, "blocks are held");
    for (const auto& upstream : runtime_.upstreams) {
      for (const Peer& peer : upstream->group.peers())
        FUZZ_CHECK(peer.conns() == 0, "a request at a server has no end");
    }
  }

 private:
  static inline const conf::LoadOptions kOptions{.prefix = "/nowhere/", .file = "t.conf"};
  void OnWake() {}

  Loop loop_;
  fuzz::Origin origin_;
  std::unique_ptr<const conf::Config> config_;
  OneLineLog log_target_;
  std::vector<Log> logs_{config_->error_logs.size()};
  shm::Counters counters_;
  BlockPool blocks_;
  SplicePipes pipes_;
  Runtime runtime_{.config = *config_,
                   .http = *config_->http,
                   .loop = loop_,
                   .blocks = blocks_,
                   .pipes = pipes_,
                   .logs = logs_,
                   .counters = counters_,
                   .own_counters = counters_.slots[0]};
  ConnectionSet connections_{runtime_};
  Deferred wake_{loop_, Callback::To<&TestWorker::OnWake>(this)};
};

// A client that reads whatever comes.
class Client {
 public:
  explicit Client(TestWorker& worker) : worker_(worker), fd_(worker.Connect()) {}

  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0 && !Settle()) return;  // it has closed, or reads no more
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    Settle();
  }
  void End() {
    ::shutdown(fd_.get(), SHUT_WR);
    Settle();
  }
  void Close() {
    fd_.Reset();
    for (int i = 0; i < kQuietPasses; ++i) worker_.Pass();
    worker_.WaitForEnd();
  }
  const std::string& received() const { return received_; }

  // Passes until nothing happens any more. Whether anything did.
  bool Settle() {
    const size_t before = Progress();
    for (int quiet = 0; quiet < kQuietPasses; ++quiet) {
      const size_t now = Progress();
      worker_.Pass();
      Read();
      if (Progress() != now) quiet = 0;
    }
    return Progress() != before;
  }

 private:
  static constexpr int kQuietPasses = 6;

  size_t Progress() const { return received_.size() + worker_.origin().received(); }
  void Read() {
    char bytes[16384];
    for (ssize_t n; (n = ::recv(fd_.get(), bytes, sizeof bytes, 0)) > 0;)
      received_.append(bytes, static_cast<size_t>(n));
  }

  TestWorker& worker_;
  UniqueFd fd_;
  std::string received_;
};

std::vector<std::string> PiecesOf(std::string_view input) {
  constexpr std::string_view kSeparator = "\n--\n";
  std::vector<std::string> pieces;
  for (size_t end; (end = input.find(kSeparator)) != input.npos;) {
    pieces.emplace_back(input.substr(0, end));
    input.remove_prefix(end + kSeparator.size());
  }
  pieces.emplace_back(input);
  return pieces;
}

// An HTTP/0.9 request is answered without a head; it may come right behind a body.
bool MayBeHttp09(const std::vector<std::string>& pieces) {
  std::string all;
  for (size_t i = 1; i < pieces.size(); ++i) all += pieces[i];
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    const std::string_view line = std::string_view(all).substr(at, end - at);
    if (line.find("GET ") != line.npos && line.find(" HTTP/") == line.npos) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

FUZZ_TARGET(http1, input) {
  static TestWorker worker;
  const std::vector<std::string> pieces = PiecesOf(input);
  worker.origin().Begin(pieces[0]);
  Client client(worker);
  for (size_t i = 1; i < pieces.size(); ++i) client.Send(pieces[i]);
  worker.origin().CloseAll();
  client.Settle();
  client.End();
  client.Close();
  FUZZ_CHECK(MayBeHttp09(pieces) || fuzz::AreResponses(client.received()),
             "the client reads something else than responses:\n" + client.received());
  for (const std::string& requests : worker.origin().Requests())
    FUZZ_CHECK(fuzz::AreRequests(requests), "the upstream reads no requests:\n" + requests);
  worker.CheckNothingIsLeft();
}
