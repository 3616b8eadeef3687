// A proxied exchange between a client's stream and a connection to a peer that are the test's own:
// events are given by hand, and what follows is read off. No socket but for a connection that is
// being made.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "tests/conf/support.h"
#include "tests/worker/http/proxy/fake_stream.h"
#include "tests/worker/http/proxy/fake_transport.h"
#include "tests/worker/http/test_runtime.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/proxy_exchange.h"

namespace limpet::worker {

class ProxyHarness {
 public:
  // `text`: of http{}. At @A@ and @B@ nobody takes a connection, and at @DNS@ nobody answers.
  explicit ProxyHarness(std::string text) {
    Replace("@A@", a_.address, &text);
    Replace("@B@", b_.address, &text);
    Replace("@DNS@", dns_.address, &text);
    runtime_ = std::make_unique<TestRuntime>(loop_, conf::MustLoad(conf::InHttp(std::move(text))));
    stream_ = std::make_unique<FakeStream>();
    stream_->info.listen = &runtime().http.listens[0];
    stream_->info.remote = *SocketAddress::ParseIp("127.0.0.2", 1234);
    exchange_ = std::make_unique<Exchange>(runtime());
  }
  ProxyHarness(const ProxyHarness&) = delete;
  ProxyHarness& operator=(const ProxyHarness&) = delete;
  // Nothing may be left of the exchange.
  ~ProxyHarness() {
    if (exchange_->phase() != Phase::kDone && exchange_->phase() != Phase::kIdle)
      exchange_->Abandon(499);
    exchange_->Reset();
    EXPECT_TRUE(exchange_->quiet());
    for (const auto& upstream : runtime().upstreams) {
      for (const Peer& peer : upstream->group.peers()) EXPECT_EQ(peer.conns(), 0u) << peer.name;
      upstream->pool.CloseAll();
    }
    loop_.RunDead();
    EXPECT_EQ(runtime().blocks.in_use(), 0u);
  }

  Runtime& runtime() { return **runtime_; }
  UpstreamRuntime& upstream(size_t i = 0) { return *runtime().upstreams[i]; }
  // Before the first exchange: its peers are in `states`, which outlive this.
  void Share(size_t i, shm::PeerStates& states) {
    runtime().upstreams[i] = std::make_unique<UpstreamRuntime>(loop_, *runtime().http.upstreams[i],
                                                               &states, 0, StickySessions{});
  }
  // A kept connection to the peer, which the next exchange takes.
  FakeTransport& Keep(size_t peer = 0, size_t of = 0) {
    auto transport = std::make_unique<FakeTransport>(loop_);
    FakeTransport& fake = *transport;
    upstream(of).pool.Put(upstream(of).group.peers()[peer],
                          {.transport = std::move(transport), .created_ms = loop_.NowMs()});
    return fake;
  }
  void Send(std::string request) {
    request_ = std::move(request);
    ASSERT_EQ(parser_.Parse(request_.data(), request_.size(), {}), proto::HeadStatus::kComplete);
    exchange_->Start(*stream_, parser_.head(), proto::RequestFraming(parser_.head()),
                     parser_.consumed());
  }
  // On the same connection.
  void NextRequest() {
    exchange_->Reset();
    parser_.Reset();
  }
  ProxyExchange& proxy() { return *exchange_->proxy(); }
  TransportHandler& handler() { return proxy(); }
  RequestBodySink& sink() { return proxy(); }

  void Answer(FakeTransport& peer, std::string bytes) {
    peer.input += bytes;
    for (size_t left = 0; peer.wants_read() && peer.input.size() != left;) {
      left = peer.input.size();
      if (left > 0) handler().OnReadable();
    }
  }
  Slice Piece(std::string_view text) {
    Slice piece{.block = runtime().blocks.Get(BlockSize::k16K), .bytes = {}};
    std::memcpy(piece.block.data(), text.data(), text.size());
    piece.bytes = {piece.block.data(), text.size()};
    return piece;
  }
  void SendBody(std::string_view text) {
    exchange_->OnBodyData(Piece(text));
    exchange_->OnBodyPause();
  }

  FakeStream& stream() { return *stream_; }
  Exchange& exchange() { return *exchange_; }
  Loop& loop() { return loop_; }

 private:
  // Connections to it stay on their way: it has one that nobody accepts, and no place for others.
  struct Silent {
    explicit Silent(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
      const SocketAddress any = *SocketAddress::ParseIp("127.0.0.1", 0);
      EXPECT_EQ(::bind(fd.get(), any.get(), any.size()), 0);
      sockaddr_in bound{};
      socklen_t size = sizeof bound;
      auto* const name = reinterpret_cast<sockaddr*>(&bound);
      ::getsockname(fd.get(), name, &size);
      address = fmt::format("127.0.0.1:{}", ntohs(bound.sin_port));
      if (type != SOCK_STREAM) return;
      EXPECT_EQ(::listen(fd.get(), 0), 0);
      first.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(first.get(), name, size), 0);
    }
    UniqueFd fd, first;
    std::string address;
  };
  static void Replace(std::string_view what, const std::string& with, std::string* text) {
    for (size_t at; (at = text->find(what)) != text->npos;) text->replace(at, what.size(), with);
  }

  Loop loop_;
  Silent a_{SOCK_STREAM}, b_{SOCK_STREAM}, dns_{SOCK_DGRAM};
  std::unique_ptr<TestRuntime> runtime_;
  std::unique_ptr<FakeStream> stream_;
  std::unique_ptr<Exchange> exchange_;
  proto::RequestParser parser_;
  std::string request_;
};

}  // namespace limpet::worker
