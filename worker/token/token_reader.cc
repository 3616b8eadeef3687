#include "worker/token/token_reader.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace limpet::worker {
namespace {

using Figures = shm::TokenFigures;

std::string_view Why(Figures::Refusal refusal) {
  switch (refusal) {
    case Figures::kAlgorithm:
      return "its algorithm is not taken";
    case Figures::kKey:
      return "no key is for it";
    case Figures::kSignature:
      return "its signature is wrong";
    case Figures::kExpired:
      return "it has expired";
    case Figures::kNotYet:
      return "its time has not come";
    default:
      return "it is malformed";
  }
}

TokenReader::Answer Say(const Claims& claims, const conf::TokenClaim& conf) {
  auto value = claims.Find(conf.path);
  if (!value) return {.value = std::nullopt, .why = "it lacks the claim"};
  return {.value = std::move(value), .why = {}};
}

void Count(std::atomic<uint64_t>& figure) { figure.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

TokenReader::TokenReader(const conf::Tokens& conf, const TokenStore& store)
    : conf_(conf), store_(store) {}

TokenReader::Answer TokenReader::Find(size_t claim, std::string_view token, int64_t now_s) {
  constexpr std::string_view kScheme = "Bearer ";
  const conf::TokenClaim& conf = conf_.claims[claim];
  if (StartsWithIgnoreCase(token, kScheme)) token = TrimSpaces(token.substr(kScheme.size()));
  if (token.empty()) return {.value = std::nullopt, .why = "there is none"};
  if (conf.keys >= 0) return FindVerified(conf, token, now_s);
  const auto claims = DecodeToken(token);
  if (claims) return Say(*claims, conf);
  return {.value = std::nullopt, .why = Why(Figures::kMalformed)};
}

TokenReader::Answer TokenReader::FindVerified(const conf::TokenClaim& conf, std::string_view token,
                                              int64_t now_s) {
  const auto file = static_cast<size_t>(conf.keys);
  const Digest128 key = KeyOf(file, token);
  Figures& figures = store_.figures();
  if (const Claims* claims = Recall(key, now_s)) {
    Count(figures.remembered);
    return Say(*claims, conf);
  }
  TokenVerdict verdict = VerifyToken(token, store_.keys(file), now_s);
  if (!verdict.claims) {
    Count(figures.refused[verdict.refusal]);
    return {.value = std::nullopt, .why = Why(verdict.refusal)};
  }
  Count(figures.verified);
  int64_t until_s = now_s + kRememberedS;
  if (verdict.claims->Has("exp") && verdict.expires_s < static_cast<double>(until_s))
    until_s = static_cast<int64_t>(verdict.expires_s);
  return Say(*Remember(key, {std::move(*verdict.claims), until_s}), conf);
}

Digest128 TokenReader::KeyOf(size_t file, std::string_view token) const {
  SipKey secret = secret_;
  secret[0] ^= static_cast<uint8_t>(file);
  secret[1] ^= static_cast<uint8_t>(file >> 8);
  return SipHash128(token, secret);
}

const Claims* TokenReader::Recall(const Digest128& key, int64_t now_s) {
  auto found = young_.find(key);
  if (found == young_.end()) {
    auto node = old_.extract(key);
    if (node.empty()) return nullptr;
    if (node.mapped().until_s <= now_s) return nullptr;
    return Remember(key, std::move(node.mapped()));
  }
  if (found->second.until_s > now_s) return &found->second.claims;
  young_.erase(found);
  return nullptr;
}

const Claims* TokenReader::Remember(const Digest128& key, Remembered remembered) {
  if (young_.size() >= kMostRemembered / 2) {
    old_ = std::move(young_);
    young_.clear();
  }
  return &young_.insert_or_assign(key, std::move(remembered)).first->second.claims;
}

}  // namespace limpet::worker
