// Our client side against our server side, over a real socket in one loop.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "tests/worker/tls/certificate_files.h"
#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

struct End final : TransportHandler {
  void OnReady(int errnum) override { ready = errnum; }
  void OnReadable() override {
    char data[256];
    size_t n = 0;
    while ((io = transport->Read(data, sizeof data, &n)) == Io::kOk) got.append(data, n);
  }
  void OnWritable() override {}

  std::unique_ptr<TlsTransport> transport;
  int ready = -1;
  Io io = Io::kWouldBlock;
  std::string got;
};

class TlsConnectTest : public testing::Test {
 protected:
  TlsConnectTest() {
    char pattern[] = "/tmp/limpet-tls-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    const conf::TlsSettings settings = SettingsFor(folder_, "one.test");
    client_settings_.trusted_certificate = settings.certificates[0].source();
    PemFiles files;
    auto context = TlsContext::ForServer(settings, files);
    EXPECT_TRUE(context) << context.error().message;
    server_context_ = std::move(*context);
    address_ = *SocketAddress::ParseIp("127.0.0.1", 0);
    listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), address_.get(), address_.size()), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    socklen_t size = address_.capacity();
    EXPECT_EQ(::getsockname(listener_.get(), address_.get(), &size), 0);
  }
  ~TlsConnectTest() override { std::filesystem::remove_all(folder_); }

  // Connects; the answer to it is a server of ours, or a socket that is closed at once.
  void Connect(std::string name, bool send_name, bool server_closes = false) {
    PemFiles files;
    auto context = TlsContext::ForUpstream(client_settings_, files);
    ASSERT_TRUE(context) << context.error().message;
    if (!client_context_) client_context_ = std::move(*context);
    // Not just freed: OpenSSL does not resume a session whose connection was dropped without a
    // word.
    for (End* end : {&client_, &server_}) {
      Transport::Discard(std::move(end->transport));
      *end = {};
    }
    TlsTarget target{.context = client_context_.get(),
                     .name = name,
                     .send_name = send_name,
                     .sessions = &sessions_,
                     .scope = "0 " + name};
    auto connecting = TlsTransport::Connect(loop_, address_, {}, std::move(target), &client_);
    ASSERT_EQ(connecting.errnum, EINPROGRESS);
    client_.transport = std::move(connecting.transport);
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    ASSERT_TRUE(fd);
    if (!server_closes) {
      server_.transport = TlsTransport::Accept(loop_, std::move(fd), *server_context_, nullptr);
      server_.transport->set_handler(&server_);
      if (const int status = server_.transport->Start(); status != EINPROGRESS)
        server_.ready = status;
    }
    fd.Reset();
    Until([this] { return client_.ready >= 0; });
  }
  // The server says `text`, and with it what tickets it has.
  void Say(std::string_view text) {
    Until([this] { return server_.ready == 0; });
    client_.transport->WantRead(true);
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    size_t n = 0;
    ASSERT_EQ(server_.transport->Writev(&piece, 1, false, &n), Io::kOk);
    Until([&] { return client_.got == text; });
  }
  template <class Done>
  void Until(Done done) {
    Timer tick(loop_, Callback::To<&TlsConnectTest::Nothing>(this));
    for (int i = 0; i < 5000 && !done(); ++i) {
      tick.Arm(1);
      loop_.RunOnce();
    }
    EXPECT_TRUE(done());
  }
  void Nothing() {}

  Loop loop_;
  std::string folder_;
  conf::TlsClientSettings client_settings_;
  std::unique_ptr<TlsContext> server_context_, client_context_;
  TlsSessionMemory sessions_;
  SocketAddress address_;
  UniqueFd listener_;
  End client_, server_;
};

TEST_F(TlsConnectTest, SendsTheNameOnlyIfTold) {
  Connect("one.test", true);
  ASSERT_EQ(client_.ready, 0) << client_.transport->SetupError(client_.ready);
  Say("hello");
  EXPECT_EQ(server_.transport->server_name(), "one.test");
  Connect("two.test", false);
  Say("hello");
  EXPECT_EQ(server_.transport->server_name(), "");
}

TEST_F(TlsConnectTest, AnAddressIsNoName) {
  Connect("127.0.0.1", true);
  ASSERT_EQ(client_.ready, 0);
  Say("hello");
  EXPECT_EQ(server_.transport->server_name(), "");
}

TEST_F(TlsConnectTest, ResumesASessionOfTheSameScopeOnly) {
  Connect("one.test", false);
  Say("first");
  EXPECT_FALSE(client_.transport->session_reused());
  Connect("one.test", false);
  Say("second");
  EXPECT_TRUE(client_.transport->session_reused());
  Connect("two.test", false);
  Say("third");
  EXPECT_FALSE(client_.transport->session_reused());
}

TEST_F(TlsConnectTest, VerifiesTheName) {
  client_settings_.verify = true;
  Connect("one.test", false);
  EXPECT_EQ(client_.ready, 0) << client_.transport->SetupError(client_.ready);
  Connect("two.test", false);
  EXPECT_EQ(client_.ready, EPROTO);
  EXPECT_EQ(
      client_.transport->SetupError(EPROTO),
      "upstream SSL certificate does not match \"two.test\" while SSL handshaking to upstream");
}

TEST_F(TlsConnectTest, TellsOfAPeerThatClosesInTheHandshake) {
  Connect("one.test", false, true);
  EXPECT_GT(client_.ready, 0);
  EXPECT_NE(
      client_.transport->SetupError(client_.ready).find("peer closed connection in SSL handshake"),
      std::string::npos);
}

// It has answered and reset the connection, since it does not want the rest of what it is sent.
TEST_F(TlsConnectTest, WhatCameBeforeAFailedWriteIsRead) {
  Connect("one.test", false);
  Say("hello");
  client_.transport->WantRead(false);
  const std::string_view text = "bytes";
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  size_t n = 0;
  ASSERT_EQ(client_.transport->Writev(&piece, 1, false, &n), Io::kOk);
  ASSERT_EQ(server_.transport->Writev(&piece, 1, false, &n), Io::kOk);
  Transport::Discard(std::move(server_.transport));
  Until([this] { return client_.transport->ended(); });
  Io io = Io::kOk;
  for (int i = 0; i < 10 && io == Io::kOk; ++i)
    io = client_.transport->Writev(&piece, 1, false, &n);
  ASSERT_EQ(io, Io::kError);
  client_.transport->WantRead(true);
  Until([this] { return client_.got == "hellobytes" && client_.io != Io::kWouldBlock; });
}

TEST_F(TlsConnectTest, TellsOfAPeerThatIsNotThere) {
  PemFiles files;
  auto context = TlsContext::ForUpstream(client_settings_, files);
  ASSERT_TRUE(context);
  listener_.Reset();
  auto connecting =
      TlsTransport::Connect(loop_, address_, {}, {.context = context->get()}, &client_);
  if (connecting.transport == nullptr) {
    EXPECT_EQ(connecting.errnum, ECONNREFUSED);
    return;
  }
  client_.transport = std::move(connecting.transport);
  Until([this] { return client_.ready >= 0; });
  EXPECT_EQ(client_.ready, ECONNREFUSED);
  EXPECT_EQ(client_.transport->SetupError(ECONNREFUSED),
            "connect() failed (111: Connection refused)");
}

TEST_F(TlsConnectTest, VerificationNeedsAuthorities) {
  client_settings_.verify = true;
  client_settings_.trusted_certificate.clear();
  PemFiles files;
  EXPECT_FALSE(TlsContext::ForUpstream(client_settings_, files));
}

}  // namespace
}  // namespace limpet::worker
