#include "worker/token/token_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "worker/token/claims.h"

namespace limpet::worker {
namespace {

constexpr size_t kShortestSecret = 32;  // bytes, of HS256 (RFC 7518 3.2)
constexpr size_t kShortestRsa = 2048;   // bits (RFC 7518 3.3)
constexpr auto kNoCurve = CJOSE_JWK_EC_INVALID;

constexpr std::array kAlgorithms = std::to_array<TokenAlgorithm>({
    {"HS256", CJOSE_JWK_KTY_OCT, 256, kNoCurve},
    {"HS384", CJOSE_JWK_KTY_OCT, 384, kNoCurve},
    {"HS512", CJOSE_JWK_KTY_OCT, 512, kNoCurve},
    {"RS256", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"RS384", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"RS512", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"PS256", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"PS384", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"PS512", CJOSE_JWK_KTY_RSA, kShortestRsa, kNoCurve},
    {"ES256", CJOSE_JWK_KTY_EC, 256, CJOSE_JWK_EC_P_256},
    {"ES384", CJOSE_JWK_KTY_EC, 384, CJOSE_JWK_EC_P_384},
    {"ES512", CJOSE_JWK_KTY_EC, 512, CJOSE_JWK_EC_P_521},
});

std::string_view Text(const json_t* object, const char* name) {
  const json_t* const value = json_object_get(object, name);
  return json_is_string(value) ? json_string_value(value) : std::string_view();
}

bool Verifies(const json_t* key) {
  const std::string_view use = Text(key, "use");
  if (!use.empty() && use != "sig") return false;
  const json_t* const operations = json_object_get(key, "key_ops");
  if (!json_is_array(operations)) return true;
  for (size_t i = 0; i < json_array_size(operations); ++i) {
    const char* const word = json_string_value(json_array_get(operations, i));
    if (word != nullptr && std::string_view(word) == "verify") return true;
  }
  return false;
}

Error Wrong(const std::string& file, std::string_view why) {
  return InvalidArgument(fmt::format("\"{}\" holds no keys for tokens: {}", file, why));
}

// cjose ends the process over some text that is no base64url (RFC 7517 and 7518 have none other in
// these).
bool AreNumbersWellFormed(const json_t* key) {
  constexpr std::array kNumbers = {"k", "n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"};
  return std::ranges::all_of(kNumbers, [key](const char* name) {
    const json_t* const number = json_object_get(key, name);
    if (number == nullptr) return true;
    const auto bytes = DecodeBase64Url(Text(key, name));
    return json_is_string(number) && bytes && !bytes->empty();
  });
}

}  // namespace

const TokenAlgorithm* FindAlgorithm(std::string_view name) {
  const auto found = std::ranges::find(kAlgorithms, name, &TokenAlgorithm::name);
  return found == kAlgorithms.end() ? nullptr : &*found;
}

Result<TokenKeys::Key> TokenKeys::ParseSecret(const std::string& file, std::string_view bytes) {
  if (bytes.find("-----BEGIN") != bytes.npos)
    return Wrong(file, "it is a PEM file; write its public key as a JWKS");
  if (bytes.size() < kShortestSecret)
    return Wrong(file, fmt::format("a secret has {} bytes at least", kShortestSecret));
  JwkPtr key(cjose_jwk_create_oct_spec(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                       nullptr));
  if (key == nullptr) return Wrong(file, "its secret cannot be used");
  return Key{.key = std::move(key), .algorithm = {}, .id = {}};
}

// Nothing: it is left out, or `*wrong` says why it should not be there.
std::optional<TokenKeys::Key> TokenKeys::ParseKey(const json_t* json, std::string* wrong) {
  const std::string_view kind = Text(json, "kty"), algorithm = Text(json, "alg");
  const bool known = kind == "RSA" || kind == "EC" || kind == "oct";
  if (!known || !Verifies(json)) return std::nullopt;
  if (!algorithm.empty() && FindAlgorithm(algorithm) == nullptr) return std::nullopt;
  if (!AreNumbersWellFormed(json)) {
    *wrong = "has a number that is no base64url";
    return std::nullopt;
  }
  char* const text = json_dumps(json, JSON_COMPACT);
  JwkPtr key(text != nullptr ? cjose_jwk_import(text, std::char_traits<char>::length(text), nullptr)
                             : nullptr);
  std::free(text);
  if (key == nullptr) {
    *wrong = "is damaged, or of a curve that is not known";
    return std::nullopt;
  }
  const size_t bits = cjose_jwk_get_keysize(key.get(), nullptr);
  const size_t least = kind == "RSA" ? kShortestRsa : kind == "oct" ? kShortestSecret * 8 : 0;
  if (bits < least) {
    *wrong = fmt::format("has {} bits and needs {}", bits, least);
    return std::nullopt;
  }
  Key made{.key = std::move(key), .algorithm = std::string(algorithm), .id = {}};
  if (json_is_string(json_object_get(json, "kid"))) made.id = std::string(Text(json, "kid"));
  return made;
}

Result<TokenKeys> TokenKeys::Parse(const std::string& file, std::string_view bytes) {
  TokenKeys keys;
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == bytes.npos || bytes[first] != '{') {
    auto secret = ParseSecret(file, bytes);
    if (!secret) return secret.error();
    keys.keys_.push_back(std::move(*secret));
    return keys;
  }
  const JsonPtr json = ParseObject(bytes);
  const json_t* const list = json != nullptr ? json_object_get(json.get(), "keys") : nullptr;
  if (!json_is_array(list))
    return Wrong(file, "it begins as a JWKS, {\"keys\": [...]}, but is none");
  for (size_t i = 0; i < json_array_size(list); ++i) {
    std::string wrong;
    auto key = ParseKey(json_array_get(list, i), &wrong);
    if (!wrong.empty()) return Wrong(file, fmt::format("the key at place {} {}", i, wrong));
    if (key) keys.keys_.push_back(std::move(*key));
  }
  if (keys.keys_.empty())
    return Wrong(file, "no key of its JWKS verifies signatures that are known");
  return keys;
}

bool TokenKeys::Fits(const Key& key, const TokenAlgorithm& algorithm) {
  const cjose_jwk_t* const jwk = key.key.get();
  if (cjose_jwk_get_kty(jwk, nullptr) != algorithm.kind) return false;
  if (!key.algorithm.empty() && key.algorithm != algorithm.name) return false;
  if (algorithm.kind == CJOSE_JWK_KTY_EC)
    return cjose_jwk_EC_get_curve(jwk, nullptr) == algorithm.curve;
  return cjose_jwk_get_keysize(jwk, nullptr) >= algorithm.least_bits;
}

std::vector<const cjose_jwk_t*> TokenKeys::For(const TokenAlgorithm& algorithm,
                                               std::optional<std::string_view> id) const {
  const bool known =
      id && std::ranges::any_of(keys_, [id](const Key& key) { return key.id == id; });
  std::vector<const cjose_jwk_t*> found;
  for (const Key& key : keys_) {
    const bool named = !id || (known ? key.id == id : !key.id);
    if (named && Fits(key, algorithm) && found.size() < kMostTries) found.push_back(key.key.get());
  }
  return found;
}

}  // namespace limpet::worker
