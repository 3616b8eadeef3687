// How tokens were judged (jwt_claim), by all workers together. Lies in zeroed memory that the
// master maps before it forks, and lives over reloads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace limpet::shm {

struct TokenFigures {
  // Why a token was refused, in the order in which it is looked at.
  enum Refusal : uint8_t { kMalformed, kAlgorithm, kKey, kSignature, kExpired, kNotYet, kRefusals };
  static constexpr std::array<const char*, kRefusals> kRefusalNames = {
      "malformed", "algorithm", "key", "signature", "expired", "not_yet"};

  std::atomic<uint64_t> verified;    // signatures that were right
  std::atomic<uint64_t> remembered;  // tokens that had been verified a moment before
  std::array<std::atomic<uint64_t>, kRefusals> refused;
};
static_assert(std::is_trivially_destructible_v<TokenFigures>);

}  // namespace limpet::shm
