// What is no token, or one that somebody has forged; and, after a `k`, a file of keys. A token is
// believed only if OpenSSL alone, from the same secret, comes to the same signature.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/fuzz/fuzz.h"
#include "worker/token/token.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kSecret =
    "the secret of the fuzz target, which is long enough for each digest of them all";
constexpr int64_t kNow = 1'800'000'000;

const TokenKeys& Keys() {
  static const TokenKeys keys = *TokenKeys::Parse("secret", kSecret);
  return keys;
}

bool IsSigned(std::string_view token) {
  const size_t end = token.rfind('.');
  const auto signature = DecodeBase64Url(token.substr(end + 1));
  if (!signature) return false;
  for (const EVP_MD* digest : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(digest, kSecret.data(), static_cast<int>(kSecret.size()),
         reinterpret_cast<const unsigned char*>(token.data()), end, mac, &size);
    if (*signature == std::string_view(reinterpret_cast<const char*>(mac), size)) return true;
  }
  return false;
}

}  // namespace

FUZZ_TARGET(token, input) {
  if (input.starts_with('k')) {
    if (const auto keys = TokenKeys::Parse("file", input.substr(1)); !keys)
      FUZZ_CHECK(keys.error().message.starts_with("\"file\" "), "an error names the file");
    return;
  }
  const TokenVerdict verdict = VerifyToken(input, Keys(), kNow);
  if (verdict.claims) FUZZ_CHECK(IsSigned(input), "a token is believed that nobody has signed");
  if (const auto claims = DecodeToken(input)) {
    for (const auto& path : std::initializer_list<std::vector<std::string>>{
             {"sub"}, {"a", "b"}, {"roles", "0"}, {"exp"}}) {
      if (const auto text = claims->Find(path))
        FUZZ_CHECK(text->size() <= kLongestToken, "a claim is longer than its token");
    }
  }
}

}  // namespace limpet::worker
