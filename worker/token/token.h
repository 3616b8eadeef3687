// One JSON Web Token in compact form: decoded, or verified against keys. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/token_figures.h"
#include "worker/token/claims.h"
#include "worker/token/token_keys.h"

namespace limpet::worker {

// Longer ones are malformed: heads of requests are short.
inline constexpr size_t kLongestToken = 16384;

struct TokenVerdict {
  std::optional<Claims> claims;  // nothing: it was refused
  shm::TokenFigures::Refusal refusal{};
  double expires_s = 0;  // since 1970; 0: never
};

// Whoever made it: its claims may be anybody's invention.
std::optional<Claims> DecodeToken(std::string_view token);

// Signed by one of the keys, and now is between its nbf and exp.
TokenVerdict VerifyToken(std::string_view token, const TokenKeys& keys, int64_t now_s);

}  // namespace limpet::worker
