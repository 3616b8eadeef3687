// The keys of one key_file: a JWKS (RFC 7517) or a secret.
#pragma once

#include <cjose/cjose.h>
#include <jansson.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet::worker {

struct FreeJwk {
  void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
using JwkPtr = std::unique_ptr<cjose_jwk_t, FreeJwk>;

// An algorithm of RFC 7518 3 that a token may be signed with.
struct TokenAlgorithm {
  std::string_view name;
  cjose_jwk_kty_t kind;
  size_t least_bits;         // of a key
  cjose_jwk_ec_curve curve;  // of kind EC
};
const TokenAlgorithm* FindAlgorithm(std::string_view name);  // null: none that we take

class TokenKeys {
 public:
  // `file`: for messages, which hold nothing of the bytes. Keys in a JWKS that sign nothing, or by
  // algorithms we do not know, are left out; without any key it is an error.
  static Result<TokenKeys> Parse(const std::string& file, std::string_view bytes);

  // Those that may judge a token with this algorithm and key id (nothing: it names none), at most
  // kMostTries. With an id: the keys of that id, else those without one.
  static constexpr size_t kMostTries = 4;
  std::vector<const cjose_jwk_t*> For(const TokenAlgorithm& algorithm,
                                      std::optional<std::string_view> id) const;

 private:
  struct Key {
    JwkPtr key;
    std::string algorithm;  // the only one that it is for; "": any that fits
    std::optional<std::string> id;
  };
  static Result<Key> ParseSecret(const std::string& file, std::string_view bytes);
  static std::optional<Key> ParseKey(const json_t* json, std::string* wrong);
  static bool Fits(const Key& key, const TokenAlgorithm& algorithm);

  std::vector<Key> keys_;
};

}  // namespace limpet::worker
