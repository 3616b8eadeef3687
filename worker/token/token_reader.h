// What a worker reads tokens with. Verified ones are remembered for a moment: a page is many
// requests, and several variables may ask of one token. Used from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"
#include "conf/jwt.h"
#include "worker/token/token.h"
#include "worker/token/token_store.h"

namespace limpet::worker {

class TokenReader {
 public:
  static constexpr int64_t kRememberedS = 10;  // and no longer than until its exp
  static constexpr size_t kMostRemembered = 2048;

  TokenReader(const conf::Tokens& conf, const TokenStore& store);

  struct Answer {
    std::optional<std::string> value;
    std::string_view why;  // there is none, for a log
  };
  // What a claim (index into conf::Tokens::claims) of this token says, alone or behind "Bearer ".
  Answer Find(size_t claim, std::string_view token, int64_t now_s);

  const shm::TokenFigures& figures() const { return store_.figures(); }
  size_t remembered() const { return young_.size() + old_.size(); }

 private:
  struct Remembered {
    Claims claims;
    int64_t until_s = 0;
  };
  struct Hash {
    size_t operator()(const Digest128& key) const { return key[0]; }
  };
  using Memory = std::unordered_map<Digest128, Remembered, Hash>;

  Answer FindVerified(const conf::TokenClaim& conf, std::string_view token, int64_t now_s);
  Digest128 KeyOf(size_t file, std::string_view token) const;
  const Claims* Recall(const Digest128& key, int64_t now_s);
  const Claims* Remember(const Digest128& key, Remembered remembered);

  const conf::Tokens& conf_;
  const TokenStore& store_;
  SipKey secret_ = RandomSipKey();
  // Tokens go from young to old when that many are young, and what was old is forgotten.
  Memory young_, old_;
};

}  // namespace limpet::worker
