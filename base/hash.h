// Digests and keyed hashes, over OpenSSL and libsodium.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace limpet {

using Digest128 = std::array<uint64_t, 2>;
using SipKey = std::array<uint8_t, 16>;

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

std::string Base64Encode(std::string_view data);
bool Base64Decode(std::string_view text, std::string* out);  // false if text is not base64

}  // namespace limpet
