#include "base/hash.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace limpet {
namespace {

TEST(Hash, KnownDigests) {
  EXPECT_EQ(Md5Hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Md5Hex("127.0.0.1:8080"), "5958c386bf5e9109ac10d2a628645aea");
  EXPECT_EQ(Sha1("abc")[0], 0xa9);
  const auto sha256 = Sha256("abc");
  EXPECT_EQ(HexLower(sha256.data(), sha256.size()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// The reference vector of SipHash-2-4-128: key 00 01 … 0f, no input.
TEST(Hash, SipHashOfTheReference) {
  SipKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  const Digest128 digest = SipHash128("", key);
  EXPECT_EQ(digest[0], 0xe6a825ba047f81a3u);
  EXPECT_EQ(digest[1], 0x930255c71472f66du);
  EXPECT_NE(SipHash128("a", key), SipHash128("b", key));
  EXPECT_NE(RandomSipKey(), RandomSipKey());
}

TEST(Hash, SecretsAreComparedWhole) {
  EXPECT_TRUE(SameSecret("", ""));
  EXPECT_TRUE(SameSecret("secret", "secret"));
  EXPECT_FALSE(SameSecret("secret", "secreT"));
  EXPECT_FALSE(SameSecret("secret", "secrets"));
}

TEST(Hash, SealsAreReadWithTheirKeyAndPurposeOnly) {
  const SealKey key{1}, other{2};
  for (const std::string& text : {std::string(), std::string("secret"), std::string(1000, 'x')}) {
    const std::string sealed = Seal(text, "test", key);
    EXPECT_EQ(sealed.size(), text.size() + kSealOverhead);
    EXPECT_NE(sealed, Seal(text, "test", key));
    EXPECT_EQ(Unseal(sealed, "test", key), text);
    EXPECT_FALSE(Unseal(sealed, "test", other));
    EXPECT_FALSE(Unseal(sealed, "tests", key));
    EXPECT_FALSE(Unseal(sealed.substr(1), "test", key));
    for (size_t at = 0; at < sealed.size(); at += 7) {
      std::string changed = sealed;
      changed[at] ^= 1;
      EXPECT_FALSE(Unseal(changed, "test", key)) << at;
    }
  }
  EXPECT_FALSE(Unseal("", "test", key));
  EXPECT_FALSE(Unseal(std::string(kSealOverhead, 'x'), "test", key));
}

TEST(Hash, Base64OfUrlsHasOneTextForEachValue) {
  EXPECT_EQ(Base64UrlEncode("\xfb\xff"), "-_8");
  EXPECT_EQ(Base64UrlDecode("-_8"), "\xfb\xff");
  EXPECT_EQ(Base64UrlDecode(""), "");
  for (const char* wrong : {"-_9", "-_8=", "+/8", "-_8\n", " -_8", "-", "-_8a-"})
    EXPECT_FALSE(Base64UrlDecode(wrong)) << wrong;
}

TEST(Hash, Base64BothWays) {
  EXPECT_EQ(Base64Encode("user:pass"), "dXNlcjpwYXNz");
  std::string out;
  ASSERT_TRUE(Base64Decode("dXNlcg==", &out));
  EXPECT_EQ(out, "user");
  ASSERT_TRUE(Base64Decode("dXNlcg", &out));  // browsers and curl pad; others do not
  EXPECT_EQ(out, "user");
  EXPECT_FALSE(Base64Decode("dX*lcg==", &out));
}

}  // namespace
}  // namespace limpet
