// Handshakes and bytes over a socket pair; the other end is plain OpenSSL, driven by hand.
#include "worker/tls/tls_transport.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

#include "tests/worker/tls/certificate_files.h"
#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"

namespace limpet::worker {
namespace {

using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;

class TlsTest : public testing::Test, public TransportHandler, public SniSelector {
 protected:
  TlsTest() : client_context_(SSL_CTX_new(TLS_client_method())) {
    char pattern[] = "/tmp/limpet-tls-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    server_ = MakeContext(SettingsFor(folder_, "one.test"));
    other_ = MakeContext(SettingsFor(folder_, "two.test"));
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  static std::unique_ptr<TlsContext> MakeContext(const conf::TlsSettings& settings) {
    PemFiles files;
    auto context = TlsContext::ForServer(settings, files);
    EXPECT_TRUE(context) << context.error().message;
    return std::move(*context);
  }

  void OnReady(int errnum) override { ready_ = errnum; }
  void OnReadable() override {
    char data[4096];
    size_t n = 0;
    while ((last_ = transport_->Read(data, sizeof data, &n)) == Io::kOk) got_.append(data, n);
  }
  void OnWritable() override {}
  TlsChoice ChooseTls(std::string_view name) override {
    if (name == "none.test") return {};
    return {name == "two.test" ? other_.get() : server_.get(), name == "two.test"};
  }

  void Open() {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    client_fd_.Reset(fds[1]);
    transport_ = TlsTransport::Accept(loop_, UniqueFd(fds[0]), *server_, this);
    transport_->set_handler(this);
    client_.reset(SSL_new(client_context_.get()));
    SSL_set_fd(client_.get(), fds[1]);
    ASSERT_EQ(transport_->Start(), EINPROGRESS);
  }
  // Turns the loop and `step` by turns until `done`.
  void Until(const std::function<bool()>& done, const std::function<void()>& step) {
    Timer tick(loop_, Callback::To<&TlsTest::Nothing>(this));
    for (int i = 0; i < 2000 && !done(); ++i) {
      step();
      tick.Arm(0);
      loop_.RunOnce();
    }
    EXPECT_TRUE(done());
  }
  void Nothing() {}
  // Names with their lengths in front.
  void OfferAlpn(std::string_view names) {
    SSL_set_alpn_protos(client_.get(), reinterpret_cast<const unsigned char*>(names.data()),
                        static_cast<unsigned>(names.size()));
  }
  void Handshake(const char* name) {
    SSL_ctrl(client_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(name));
    Until([this] { return ready_ >= 0; }, [this] { SSL_connect(client_.get()); });
    SSL_connect(client_.get());
  }
  // What has come for the client goes behind `bytes`; the lengths of its records.
  std::vector<int> ReadRecords(std::string* bytes) {
    std::vector<int> records;
    char data[16384];
    for (int got = 0; (got = SSL_read(client_.get(), data, sizeof data)) > 0;) {
      records.push_back(got);
      bytes->append(data, static_cast<size_t>(got));
    }
    return records;
  }
  Io WriteBlock() {
    std::string block(70'000, 'x');
    const iovec piece{block.data(), block.size()};
    size_t n = 0;
    return transport_->Writev(&piece, 1, false, &n);
  }
  void WriteUntilFull() {
    while (WriteBlock() == Io::kOk) {
    }
  }
  std::string ServerName() {
    const X509Ptr cert(SSL_get1_peer_certificate(client_.get()));
    char text[64] = "";
    if (cert) {
      X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, text, 64);
    }
    return text;
  }

  Loop loop_;
  std::string folder_;
  std::unique_ptr<TlsContext> server_;
  std::unique_ptr<TlsContext> other_;
  ContextPtr client_context_;
  SslPtr client_;
  UniqueFd client_fd_;
  std::unique_ptr<TlsTransport> transport_;
  int ready_ = -1;
  Io last_ = Io::kWouldBlock;
  std::string got_;
};

// two.test speaks HTTP/2, one.test does not (TlsTest::ChooseTls).
TEST_F(TlsTest, ChoosesTheProtocolByTheServerOfTheName) {
  const struct {
    const char* name;
    std::string_view offer;
    std::string_view chosen;
  } rows[] = {{"two.test", "\x02h2\x08http/1.1", "h2"},
              {"two.test", "\x08http/1.1\x02h2", "h2"},
              {"two.test", "\x08http/1.1", "http/1.1"},
              {"two.test", "", ""},
              {"one.test", "\x02h2\x08http/1.1", "http/1.1"}};
  for (const auto& row : rows) {
    ready_ = -1;
    Open();
    if (!row.offer.empty()) OfferAlpn(row.offer);
    Handshake(row.name);
    ASSERT_EQ(ready_, 0) << transport_->ErrorText();
    EXPECT_EQ(transport_->alpn(), row.chosen) << row.name << " " << row.offer;
  }
}

TEST_F(TlsTest, RefusesAClientThatOffersOnlyWhatTheServerDoesNotSpeak) {
  Open();
  OfferAlpn("\x02h2");
  Handshake("one.test");
  EXPECT_EQ(ready_, EPROTO);
}

TEST_F(TlsTest, ShakesHandsAndCarriesBytesBothWays) {
  Open();
  Handshake("one.test");
  ASSERT_EQ(ready_, 0) << transport_->ErrorText();
  EXPECT_EQ(transport_->protocol(), "TLSv1.3");
  EXPECT_EQ(transport_->server_name(), "one.test");
  transport_->WantRead(true);
  ASSERT_EQ(SSL_write(client_.get(), "hello", 5), 5);
  Until([this] { return got_ == "hello"; }, [] {});

  char head[] = "head ";
  char body[] = "body";
  const iovec pieces[] = {{head, 5}, {body, 4}};
  size_t n = 0;
  ASSERT_EQ(transport_->Writev(pieces, 2, false, &n), Io::kOk);
  EXPECT_EQ(n, 9u);
  char data[16] = "";
  Until([&] { return std::string_view(data) == "head body"; },
        [&] { SSL_read(client_.get(), data, sizeof data); });
}

TEST_F(TlsTest, ChoosesTheCertificateByName) {
  Open();
  Handshake("two.test");
  ASSERT_EQ(ready_, 0) << transport_->ErrorText();
  EXPECT_EQ(ServerName(), "two.test");
}

TEST_F(TlsTest, RefusesANameThatNobodyServes) {
  Open();
  Handshake("none.test");
  EXPECT_GT(ready_, 0);
}

TEST_F(TlsTest, TellsTheEndAfterCloseNotify) {
  Open();
  Handshake("one.test");
  transport_->WantRead(true);
  SSL_shutdown(client_.get());
  Until([this] { return last_ == Io::kEof; }, [] {});
}

TEST_F(TlsTest, NoticesPlainHttp) {
  Open();
  ASSERT_EQ(::send(client_fd_.get(), "GET / HTTP/1.1\r\n", 16, 0), 16);
  Until([this] { return ready_ >= 0; }, [] {});
  EXPECT_GT(ready_, 0);
  EXPECT_TRUE(transport_->plain_http());
}

TEST_F(TlsTest, GarbageEndsTheHandshakeWithAText) {
  Open();
  ASSERT_EQ(::send(client_fd_.get(), "\x16garbage garbage garbage", 23, 0), 23);
  Until([this] { return ready_ >= 0; }, [] {});
  EXPECT_GT(ready_, 0);
  EXPECT_NE(transport_->ErrorText().find("SSL"), std::string::npos);
}

TEST_F(TlsTest, CarriesMoreThanTheSocketHolds) {
  Open();
  Handshake("one.test");
  std::string big(3'000'000, '\0');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7919 >> 8);
  size_t sent = 0;
  std::string received;
  Until([&] { return received.size() == big.size(); },
        [&] {
          size_t n = 0;
          // By turns one piece and two, as an output queue would after it was blocked.
          const iovec pieces[] = {{big.data() + sent, std::min<size_t>(1000, big.size() - sent)},
                                  {big.data() + std::min(sent + 1000, big.size()),
                                   big.size() - std::min(sent + 1000, big.size())}};
          while (sent < big.size() && transport_->Writev(pieces, 2, false, &n) == Io::kOk) {
            sent += n;
            break;
          }
          ReadRecords(&received);
        });
  EXPECT_EQ(received, big);
}

// An output queue has many small pieces, HTTP/2 above all.
TEST_F(TlsTest, WritesManyRecordsAtOnce) {
  Open();
  Handshake("one.test");
  std::string body;
  for (int i = 0; i < 60'000; ++i) body += static_cast<char>(i * 7919 >> 8);
  std::vector<iovec> pieces;
  for (size_t at = 0, size = 0; at < body.size(); at += size) {
    size = std::min(pieces.size() % 2 == 0 ? size_t{9} : size_t{7991}, body.size() - at);
    pieces.push_back({body.data() + at, size});
  }
  size_t n = 0;
  ASSERT_EQ(transport_->Writev(pieces.data(), static_cast<int>(pieces.size()), false, &n), Io::kOk);
  EXPECT_EQ(n, body.size());
  std::string received;
  EXPECT_EQ(ReadRecords(&received), (std::vector<int>{16384, 16384, 16384, 60'000 - 3 * 16384}));
  EXPECT_EQ(received, body);
}

// Bytes count as written when their record has left as a whole: that is as many as the other side
// can have. The others come again, and none of them twice.
TEST_F(TlsTest, ABatchThatIsCutOffGoesOnWhereItWas) {
  Open();
  Handshake("one.test");
  std::string all(2'000'000, '\0');
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 7919 >> 8);
  size_t sent = 0;
  std::string received;
  while (sent < all.size()) {
    const iovec piece{all.data() + sent, std::min<size_t>(70'000, all.size() - sent)};
    size_t n = 0;
    if (transport_->Writev(&piece, 1, false, &n) == Io::kOk) {
      sent += n;
      continue;
    }
    const size_t had = received.size();
    ReadRecords(&received);
    ASSERT_GT(received.size(), had);
    ASSERT_EQ(received.size(), sent);
  }
  ReadRecords(&received);
  EXPECT_EQ(received, all);
}

// An error is told when what left before it has been counted, and nothing is written behind it.
TEST_F(TlsTest, WritesNothingBehindAnError) {
  Open();
  Handshake("one.test");
  WriteUntilFull();
  client_fd_.Reset();
  Io io = Io::kOk;
  for (int i = 0; i < 2 && io == Io::kOk; ++i) io = WriteBlock();
  EXPECT_EQ(io, Io::kError);
  const int why = transport_->errnum();
  EXPECT_TRUE(why == EPIPE || why == ECONNRESET) << why;
  EXPECT_EQ(WriteBlock(), Io::kError);
  EXPECT_EQ(transport_->errnum(), why);
}

// A client's end meanwhile is told as one, and the alert does not come between records.
TEST_F(TlsTest, ClosesWhileABatchIsUnsent) {
  Open();
  Handshake("one.test");
  WriteUntilFull();
  transport_->Close();
  std::string received;
  ReadRecords(&received);
  EXPECT_EQ(SSL_get_shutdown(client_.get()) & SSL_RECEIVED_SHUTDOWN, 0);  // cut off, not ended
  EXPECT_EQ(TakeErrors().find("bad record mac"), std::string::npos);
}

// Large ones take more than a packet.
TEST_F(TlsTest, ReadsAHelloByTheByte) {
  Open();
  SSL_set0_wbio(client_.get(), BIO_new(BIO_s_mem()));
  SSL_connect(client_.get());
  std::string hello(4096, '\0');
  const int size = BIO_read(SSL_get_wbio(client_.get()), hello.data(), 4096);
  ASSERT_GT(size, 0);
  int sent = 0;
  Until([&] { return sent == size; },
        [&] { sent += static_cast<int>(::send(client_fd_.get(), hello.data() + sent, 1, 0)); });
  SSL_set0_wbio(client_.get(), BIO_new_socket(client_fd_.get(), BIO_NOCLOSE));
  Until([this] { return ready_ >= 0; }, [this] { SSL_connect(client_.get()); });
  EXPECT_EQ(ready_, 0) << transport_->ErrorText();
}

// New keys that a client has asked for are told before anything else. They wait for room together
// with what is written, and nobody who reads waits for them.
TEST_F(TlsTest, ReadsOnWhileItsOwnWordsWaitForRoom) {
  Open();
  Handshake("one.test");
  transport_->WantRead(true);
  ASSERT_EQ(SSL_key_update(client_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
  ASSERT_EQ(SSL_write(client_.get(), "new keys", 8), 8);
  Until([this] { return got_ == "new keys"; }, [] {});
  char data[16] = "";
  ASSERT_EQ(SSL_read(client_.get(), data, sizeof data), -1);  // but it has read its tickets
  const std::string filling(65536, 'x');
  size_t left = 0;
  for (ssize_t n = 0; n >= 0; n = ::send(transport_->fd(), filling.data(), filling.size(), 0))
    left += static_cast<size_t>(n);
  char reply[] = "reply";
  const iovec piece{reply, 5};
  size_t written = 0;
  ASSERT_EQ(transport_->Writev(&piece, 1, false, &written), Io::kWouldBlock);
  ASSERT_EQ(SSL_write(client_.get(), " hello", 6), 6);
  Until([this] { return got_ == "new keys hello"; }, [] {});

  std::string taken(65536, '\0');
  while (left > 0) {
    const ssize_t n = ::recv(client_fd_.get(), taken.data(), std::min(taken.size(), left), 0);
    ASSERT_GT(n, 0);
    left -= static_cast<size_t>(n);
  }
  ASSERT_EQ(transport_->Writev(&piece, 1, false, &written), Io::kOk);
  EXPECT_EQ(written, 5u);
  EXPECT_EQ(SSL_read(client_.get(), data, sizeof data), 5);
  EXPECT_EQ(std::string_view(data), "reply");
}

TEST(TlsContext, NamesTheFileItCannotRead) {
  conf::TlsSettings settings;
  settings.certificates = {conf::Template::Literal("/nonexistent/cert.pem")};
  settings.certificate_keys = {conf::Template::Literal("/nonexistent/cert.key")};
  PemFiles files;
  const auto context = TlsContext::ForServer(settings, files);
  ASSERT_FALSE(context);
  EXPECT_NE(context.error().message.find("cannot load certificate \"/nonexistent/cert.pem\""),
            std::string::npos);
}

}  // namespace
}  // namespace limpet::worker
