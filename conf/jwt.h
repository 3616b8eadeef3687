// jwt_claim: variables from JSON Web Tokens (RFC 7519). Settings only: worker/token reads tokens.
#pragma once

#include <string>
#include <vector>

#include "conf/template.h"

namespace limpet::conf {

struct TokenKeys {
  std::string path;   // absolute; no two have the same
  std::string bytes;  // secret
};

struct TokenClaim {
  std::string name;  // of the variable, for messages
  Template token;
  std::vector<std::string> path;  // names within the claims, from the outermost; at least one
  int keys = -1;                  // index into Tokens::keys; -1: the token is not verified
  bool required = false;          // 401 for a token that is missing or wrong
};

struct Tokens {
  std::vector<TokenKeys> keys;
  std::vector<TokenClaim> claims;
};

}  // namespace limpet::conf
