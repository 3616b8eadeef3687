#include "worker/tls/pem_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/worker/tls/certificate_files.h"

namespace limpet::worker {
namespace {

namespace fs = std::filesystem;
constexpr auto kChain = TlsObjectKind::kChain;

class PemFilesTest : public testing::Test {
 protected:
  PemFilesTest() {
    char pattern[] = "/tmp/limpet-pem-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    WriteCertificate(folder_, "one", "one");
    crt_ = folder_ + "/one.crt";
    key_ = folder_ + "/one.key";
  }
  ~PemFilesTest() override { fs::remove_all(folder_); }

  static std::string Text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_, crt_, key_;
};

TEST_F(PemFilesTest, AFileIsReadOnce) {
  PemFiles files;
  const auto first = files.Get(kChain, crt_);
  fs::remove(crt_);
  EXPECT_EQ(*files.Get(kChain, crt_), *first);
}

TEST_F(PemFilesTest, WhatHasNotChangedIsTakenOverFromTheLoadBefore) {
  PemFiles before;
  const auto first = before.Get(kChain, crt_);
  PemFiles after(before.book());
  EXPECT_EQ(*after.Get(kChain, crt_), *first);
  EXPECT_EQ(after.book()->entries.size(), 1u) << "for the one after that";
}

TEST_F(PemFilesTest, WhatWasReplacedIsRead) {
  PemFiles before;
  const auto first = before.Get(kChain, crt_);
  WriteCertificate(folder_, "two", "two");
  fs::rename(folder_ + "/two.crt", crt_);
  PemFiles after(before.book());
  EXPECT_NE(*after.Get(kChain, crt_), *first);
}

TEST_F(PemFilesTest, WhatWasRemovedIsAnError) {
  PemFiles before;
  (void)before.Get(kChain, crt_);
  fs::remove(crt_);
  PemFiles after(before.book());
  EXPECT_FALSE(after.Get(kChain, crt_));
}

TEST_F(PemFilesTest, APairOfTwoStatesIsReadAgain) {
  PemFiles before;
  (void)before.Get(kChain, crt_);
  (void)before.Get(TlsObjectKind::kKey, key_);
  // Both are written anew, but the certificate with the time and the inode that it had.
  const auto time = fs::last_write_time(crt_);
  WriteCertificate(folder_, "two", "two");
  std::ofstream(crt_) << Text(folder_ + "/two.crt");
  fs::last_write_time(crt_, time);
  fs::rename(folder_ + "/two.key", key_);
  PemFiles after(before.book());
  using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
  const ContextPtr context(SSL_CTX_new(TLS_server_method()));
  const Status status =
      after.UsePair(context.get(), {.certificate = crt_, .key = key_, .password_file = ""});
  EXPECT_TRUE(status) << status.error().message;
}

TEST_F(PemFilesTest, AnEncryptedKeyIsNotKept) {
  WriteCertificate(folder_, "secret", "secret", "sesame");
  std::ofstream(folder_ + "/passwords") << "sesame\n";
  PemFiles files;
  ASSERT_TRUE(files.Get(TlsObjectKind::kKey, folder_ + "/secret.key", folder_ + "/passwords"));
  EXPECT_TRUE(files.book()->entries.empty());
}

TEST_F(PemFilesTest, ANameMayBeTheTextItself) {
  PemFiles files;
  const auto chain = files.Get(kChain, "data:" + Text(crt_));
  ASSERT_TRUE(chain) << chain.error().message;
  const auto key = files.Get(TlsObjectKind::kKey, "data:" + Text(key_));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_TRUE((TlsPair{*chain, *key}).Fits());
  EXPECT_FALSE(files.Get(kChain, "data:nothing"));
}

TEST_F(PemFilesTest, AKeyMayBeInAStore) {
  PemFiles files;
  const auto key = files.Get(TlsObjectKind::kKey, "store:file:" + key_);
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_TRUE((TlsPair{*files.Get(kChain, crt_), *key}).Fits());
}

}  // namespace
}  // namespace limpet::worker
