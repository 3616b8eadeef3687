#include "worker/tls/staple.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/clock.h"
#include "tests/worker/tls/certificate_files.h"

namespace limpet::worker {
namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;

// A server whose certificate is asked for, and clients that want to be shown what came of it.
class StapleTest : public testing::Test {
 protected:
  StapleTest() {
    char pattern[] = "/tmp/limpet-staple-XXXXXX";
    const std::string folder = ::mkdtemp(pattern);
    WriteCertificate(folder, "one", "one");
    chain_ = *ParseTlsObject(TlsObjectKind::kChain, Read(folder + "/one.crt"), {});
    X509* const certificate = chain_->certificates.front().get();
    SSL_CTX_use_certificate(server_.get(), certificate);
    SSL_CTX_use_PrivateKey_file(server_.get(), (folder + "/one.key").c_str(), SSL_FILETYPE_PEM);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(server_.get()), certificate);
    staple_.Ask(std::move(*OcspSubject::Make(chain_, server_.get(),
                                             {.name = "one", .responder = "http://127.0.0.1/"})));
    staple_.Install(server_.get());
    std::filesystem::remove_all(folder);
  }

  static std::string Read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  // What a client is shown; "": nothing.
  std::string Shown() {
    const SslPtr server(SSL_new(server_.get()));
    const SslPtr client(SSL_new(client_.get()));
    BIO* at_server = nullptr;
    BIO* at_client = nullptr;
    BIO_new_bio_pair(&at_server, 1 << 16, &at_client, 1 << 16);
    SSL_set_bio(server.get(), at_server, at_server);
    SSL_set_bio(client.get(), at_client, at_client);
    SSL_set_tlsext_status_type(client.get(), TLSEXT_STATUSTYPE_ocsp);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    for (int turn = 0; turn < 10; ++turn) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(server.get());
    }
    EXPECT_TRUE(SSL_is_init_finished(client.get()));
    const unsigned char* response = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(client.get(), &response);
    return size > 0
               ? std::string(reinterpret_cast<const char*>(response), static_cast<size_t>(size))
               : "";
  }

  ContextPtr server_{SSL_CTX_new(TLS_server_method())};
  ContextPtr client_{SSL_CTX_new(TLS_client_method())};
  TlsObjectPtr chain_;
  Staple staple_;
};

TEST_F(StapleTest, IsSentForAsLongAsItIsValid) {
  EXPECT_EQ(Shown(), "");
  staple_.Set(0, "forever", std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Shown(), "forever");
  staple_.Set(0, "for a while", Now().seconds + 600);
  EXPECT_EQ(Shown(), "for a while");
  staple_.Set(0, "no more", Now().seconds);
  EXPECT_EQ(Shown(), "");
}

}  // namespace
}  // namespace limpet::worker
