#include "base/hash.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "base/text.h"

namespace limpet {
namespace {

template <size_t N>
std::array<uint8_t, N> Digest(const EVP_MD* kind, std::string_view data) {
  std::array<uint8_t, N> out{};
  unsigned int size = N;
  ::EVP_Digest(data.data(), data.size(), out.data(), &size, kind, nullptr);
  return out;
}

}  // namespace

std::array<uint8_t, 16> Md5(std::string_view data) { return Digest<16>(::EVP_md5(), data); }
std::array<uint8_t, 20> Sha1(std::string_view data) { return Digest<20>(::EVP_sha1(), data); }
std::array<uint8_t, 32> Sha256(std::string_view data) { return Digest<32>(::EVP_sha256(), data); }

std::string Md5Hex(std::string_view data) {
  const auto digest = Md5(data);
  return HexLower(digest.data(), digest.size());
}

Digest128 SipHash128(std::string_view data, const SipKey& key) {
  Digest128 out{};
  static_assert(sizeof out == crypto_shorthash_siphashx24_BYTES);
  ::crypto_shorthash_siphashx24(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                                key.data());
  return out;
}

void RandomBytes(void* out, size_t size) { ::randombytes_buf(out, size); }

SipKey RandomSipKey() {
  SipKey key;
  RandomBytes(key.data(), key.size());
  return key;
}

bool SameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string Base64Encode(std::string_view data) {
  std::string out(sodium_base64_ENCODED_LEN(data.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  ::sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(data.data()),
                      data.size(), sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the terminating NUL
  return out;
}

bool Base64Decode(std::string_view text, std::string* out) {
  out->resize(text.size());
  size_t size = 0;
  for (const int variant :
       {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING}) {
    if (::sodium_base642bin(reinterpret_cast<unsigned char*>(out->data()), out->size(), text.data(),
                            text.size(), nullptr, &size, nullptr, variant) == 0) {
      out->resize(size);
      return true;
    }
  }
  return false;
}

}  // namespace limpet
