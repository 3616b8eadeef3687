#include "worker/token/token.h"

#include <jansson.h>

#include <algorithm>
#include <array>

namespace limpet::worker {
namespace {

using Figures = shm::TokenFigures;

struct FreeJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
using JwsPtr = std::unique_ptr<cjose_jws_t, FreeJws>;

// Between the dots: header, claims, signature.
std::optional<std::array<std::string_view, 3>> Parts(std::string_view token) {
  if (token.size() > kLongestToken) return std::nullopt;
  const size_t first = token.find('.');
  const size_t second = first == token.npos ? first : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) return std::nullopt;
  const std::array parts = {token.substr(0, first), token.substr(first + 1, second - first - 1),
                            token.substr(second + 1)};
  if (!std::ranges::all_of(parts, IsBase64Url)) return std::nullopt;  // cjose takes padding, too
  return parts;
}

std::optional<std::string_view> Text(const json_t* object, const char* name) {
  const json_t* const value = json_object_get(object, name);
  if (!json_is_string(value)) return std::nullopt;
  return std::string_view(json_string_value(value), json_string_length(value));
}

bool IsSignedBy(std::string_view token, const cjose_jwk_t* key) {
  const JwsPtr jws(cjose_jws_import(token.data(), token.size(), nullptr));
  return jws != nullptr && cjose_jws_verify(jws.get(), key, nullptr);
}

// cjose looks at as many bytes of an HMAC as it would have, and only then at how many there are.
// A key is as long as what it makes, at least (RFC 7518 3.2).
bool HasItsLength(std::string_view signature, const TokenAlgorithm& algorithm) {
  if (algorithm.kind != CJOSE_JWK_KTY_OCT) return true;
  return signature.size() == (algorithm.least_bits + 5) / 6;
}

TokenVerdict Refused(Figures::Refusal refusal) {
  return {.claims = std::nullopt, .refusal = refusal, .expires_s = 0};
}

std::optional<Figures::Refusal> CheckSignature(std::string_view token, std::string_view header,
                                               std::string_view signature, const TokenKeys& keys) {
  const auto text = DecodeBase64Url(header);
  const JsonPtr json = text ? ParseObject(*text) : nullptr;
  if (json == nullptr) return Figures::kMalformed;
  const auto name = Text(json.get(), "alg");
  const TokenAlgorithm* const algorithm = name ? FindAlgorithm(*name) : nullptr;
  if (algorithm == nullptr || json_object_get(json.get(), "crit") != nullptr)
    return Figures::kAlgorithm;
  const auto candidates = keys.For(*algorithm, Text(json.get(), "kid"));
  if (candidates.empty()) return Figures::kKey;
  if (!HasItsLength(signature, *algorithm)) return Figures::kSignature;
  for (const cjose_jwk_t* key : candidates) {
    if (IsSignedBy(token, key)) return std::nullopt;
  }
  return Figures::kSignature;
}

TokenVerdict CheckTimes(Claims claims, int64_t now_s) {
  const auto expires = claims.Date("exp"), begins = claims.Date("nbf");
  if (!expires || !begins) return Refused(Figures::kMalformed);
  const auto now = static_cast<double>(now_s);
  if (claims.Has("exp") && *expires <= now) return Refused(Figures::kExpired);
  if (*begins > now) return Refused(Figures::kNotYet);
  return {.claims = std::move(claims), .refusal = {}, .expires_s = *expires};
}

}  // namespace

std::optional<Claims> DecodeToken(std::string_view token) {
  const auto parts = Parts(token);
  const auto json = parts ? DecodeBase64Url((*parts)[1]) : std::nullopt;
  return json ? Claims::Parse(*json) : std::nullopt;
}

TokenVerdict VerifyToken(std::string_view token, const TokenKeys& keys, int64_t now_s) {
  const auto parts = Parts(token);
  if (!parts) return Refused(Figures::kMalformed);
  if (const auto refusal = CheckSignature(token, (*parts)[0], (*parts)[2], keys))
    return Refused(*refusal);
  auto claims = DecodeToken(token);
  if (!claims) return Refused(Figures::kMalformed);
  return CheckTimes(std::move(*claims), now_s);
}

}  // namespace limpet::worker
