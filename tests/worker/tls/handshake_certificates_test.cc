#include "worker/tls/handshake_certificates.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "tests/worker/tls/certificate_files.h"

namespace limpet::worker {
namespace {

namespace fs = std::filesystem;

class HandshakeCertificatesTest : public testing::Test {
 protected:
  HandshakeCertificatesTest() {
    char pattern[] = "/tmp/limpet-certs-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    certificates_.emplace(folder_ + "/");
    Write("one");
  }
  ~HandshakeCertificatesTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& password = "") {
    WriteCertificate(folder_, name, name, password);
  }
  // In place of the other one, as a tool that renews certificates does it.
  void Replace(const std::string& name, const std::string& by) {
    Write(by);
    for (const char* end : {".crt", ".key"})
      fs::rename(folder_ + "/" + by + end, folder_ + "/" + name + end);
  }
  Result<TlsPair> Get(const std::string& name, const conf::TlsCertificateCache* cache,
                      const TlsPasswords* passwords = nullptr) {
    const std::string certificate = name + ".crt";
    const std::string key = name + ".key";
    return certificates_->Get({certificate, key, cache, passwords});
  }
  static std::string Subject(const Result<TlsPair>& pair) {
    if (!pair) return pair.error().message;
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(pair->chain->certificates.front().get()),
                              NID_commonName, name, sizeof name);
    return name;
  }

  const conf::TlsCertificateCache cache_{.max = 4};
  const conf::TlsCertificateCache short_{.max = 4, .valid = conf::Ms(-1000)};
  std::string folder_;
  std::optional<HandshakeCertificates> certificates_;
};

TEST_F(HandshakeCertificatesTest, WithoutACacheEachHandshakeSeesTheFile) {
  EXPECT_EQ(Subject(Get("one", nullptr)), "one");
  Replace("one", "two");
  EXPECT_EQ(Subject(Get("one", nullptr)), "two");
}

TEST_F(HandshakeCertificatesTest, TheCacheKeepsWhatItHasWhateverBecomesOfTheFile) {
  EXPECT_EQ(Subject(Get("one", &cache_)), "one");
  fs::remove(folder_ + "/one.crt");
  EXPECT_EQ(Subject(Get("one", &cache_)), "one");
}

TEST_F(HandshakeCertificatesTest, WhatIsNoLongerValidIsReadAgainIfItHasChanged) {
  const auto before = Get("one", &short_);
  EXPECT_EQ(Get("one", &short_)->chain, before->chain) << "unchanged";
  Replace("one", "two");
  EXPECT_EQ(Subject(Get("one", &short_)), "two");
  fs::remove(folder_ + "/one.crt");
  EXPECT_FALSE(Get("one", &short_));
}

TEST_F(HandshakeCertificatesTest, AFullCacheForgetsWhatWasNotUsedForLongest) {
  for (const char* name : {"two", "three"}) Write(name);
  (void)Get("one", &cache_);
  (void)Get("two", &cache_);
  (void)Get("one", &cache_);
  (void)Get("three", &cache_);  // in place of two
  for (const char* name : {"one", "two"}) fs::remove(folder_ + "/" + name + ".crt");
  EXPECT_EQ(Subject(Get("one", &cache_)), "one");
  EXPECT_FALSE(Get("two", &cache_));
}

TEST_F(HandshakeCertificatesTest, CachesOfTwoDirectivesAreTwo) {
  const conf::TlsCertificateCache other{.max = 4};
  (void)Get("one", &cache_);
  Replace("one", "two");
  EXPECT_EQ(Subject(Get("one", &other)), "two");
  EXPECT_EQ(Subject(Get("one", &cache_)), "one");
}

TEST_F(HandshakeCertificatesTest, AKeyBehindAPasswordIsNotKept) {
  Write("secret", "sesame");
  const TlsPasswords passwords("wrong\nsesame\n");
  EXPECT_EQ(Subject(Get("secret", &cache_, &passwords)), "secret");
  const auto without = Get("secret", &cache_);
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("cannot load certificate key"), std::string::npos);
}

TEST_F(HandshakeCertificatesTest, AKeyThatDoesNotFitMakesBothBeReadAgain) {
  const conf::TlsCertificateCache tiny{.max = 1};  // has room for the key only
  EXPECT_EQ(Subject(Get("one", &tiny)), "one");
  Replace("one", "two");
  EXPECT_EQ(Subject(Get("one", &tiny)), "two");
}

TEST_F(HandshakeCertificatesTest, WhatNeverFitsIsAnError) {
  Write("two");
  fs::rename(folder_ + "/two.key", folder_ + "/one.key");
  const auto pair = Get("one", &cache_);
  ASSERT_FALSE(pair);
  EXPECT_NE(pair.error().message.find("key values mismatch"), std::string::npos)
      << pair.error().message;
}

}  // namespace
}  // namespace limpet::worker
