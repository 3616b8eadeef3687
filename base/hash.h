// Digests and keyed hashes, over OpenSSL and libsodium.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace limpet {

using Digest128 = std::array<uint64_t, 2>;
using SipKey = std::array<uint8_t, 16>;
using SealKey = std::array<uint8_t, 32>;

std::array<uint8_t, 16> Md5(std::string_view data);
std::string Md5Hex(std::string_view data);  // lower case
std::array<uint8_t, 20> Sha1(std::string_view data);
std::array<uint8_t, 32> Sha256(std::string_view data);

// SipHash-2-4 with 128-bit output: unpredictable without the key, so stored hashes reveal no input.
Digest128 SipHash128(std::string_view data, const SipKey& key);
SipKey RandomSipKey();
void RandomBytes(void* out, size_t size);

// Whether both are the same, in a time that tells nothing of where they differ (their lengths it
// does tell).
bool SameSecret(std::string_view a, std::string_view b);

// Text that only who has the key can read or make (XChaCha20-Poly1305 under a random nonce). The
// same text has another seal each time. `purpose` is not in it, and must be the same again.
constexpr size_t kSealOverhead = 40;  // bytes beyond the text's
std::string Seal(std::string_view text, std::string_view purpose, const SealKey& key);
// Nothing if it is no seal by this key for this purpose. The comparison tells nothing by its time.
std::optional<std::string> Unseal(std::string_view sealed, std::string_view purpose,
                                  const SealKey& key);

std::string Base64Encode(std::string_view data);
bool Base64Decode(std::string_view text, std::string* out);  // false if text is not base64
// For URLs and cookies (RFC 4648 5), without padding. One text for each value, and no other: bits
// that are left over are 0.
std::string Base64UrlEncode(std::string_view data);
std::optional<std::string> Base64UrlDecode(std::string_view text);

}  // namespace limpet
