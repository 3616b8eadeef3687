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

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

constexpr uint8_t kNoValue = 0xFF;
constexpr auto kUrlValues = [] {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<uint8_t, 256> values{};
  values.fill(kNoValue);
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

std::string ToBase64(std::string_view data, int variant) {
  std::string out(sodium_base64_encoded_len(data.size(), variant), '\0');
  ::sodium_bin2base64(out.data(), out.size(), Bytes(data), data.size(), variant);
  out.pop_back();  // the terminating NUL
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

std::string Seal(std::string_view text, std::string_view purpose, const SealKey& key) {
  static_assert(kSealOverhead == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES +
                                     crypto_aead_xchacha20poly1305_ietf_ABYTES);
  static_assert(SealKey().size() == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
  std::string sealed(kSealOverhead + text.size(), '\0');
  auto* const nonce = reinterpret_cast<unsigned char*>(sealed.data());
  RandomBytes(nonce, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  ::crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
                                               nullptr, Bytes(text), text.size(), Bytes(purpose),
                                               purpose.size(), nullptr, nonce, key.data());
  return sealed;
}

std::optional<std::string> Unseal(std::string_view sealed, std::string_view purpose,
                                  const SealKey& key) {
  if (sealed.size() < kSealOverhead) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  sealed.remove_prefix(nonce.size());
  std::string text(sealed.size() - crypto_aead_xchacha20poly1305_ietf_ABYTES, '\0');
  const int error = ::crypto_aead_xchacha20poly1305_ietf_decrypt(
      reinterpret_cast<unsigned char*>(text.data()), nullptr, nullptr, Bytes(sealed), sealed.size(),
      Bytes(purpose), purpose.size(), Bytes(nonce), key.data());
  if (error != 0) return std::nullopt;
  return text;
}

std::string Base64Encode(std::string_view data) {
  return ToBase64(data, sodium_base64_VARIANT_ORIGINAL);
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

std::string Base64UrlEncode(std::string_view data) {
  return ToBase64(data, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

// libsodium's takes 80 instructions a character, so that its time tells nothing of a secret. This
// is for what everybody may read.
std::optional<std::string> Base64UrlDecode(std::string_view text) {
  std::string data;
  data.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;  // of them
  for (const char c : text) {
    const uint8_t value = kUrlValues[static_cast<unsigned char>(c)];
    if (value == kNoValue) return std::nullopt;
    bits = bits << 6 | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    data.push_back(static_cast<char>(bits >> count));
    bits &= (1u << count) - 1;
  }
  if (count == 6 || bits != 0) return std::nullopt;
  return data;
}

}  // namespace limpet
