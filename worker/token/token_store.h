// The keys of all key_files of a configuration, and what is counted of tokens. The master makes it;
// workers inherit it by fork.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "conf/jwt.h"
#include "shm/token_figures.h"
#include "shm/zone.h"
#include "worker/token/token_keys.h"

namespace limpet::worker {

class TokenStore {
 public:
  // `before`: of the generation before this one, whose figures go on; may be null. An error names
  // the file. Null if no variable is read from tokens.
  static Result<std::shared_ptr<const TokenStore>> Load(const conf::Tokens& tokens,
                                                        const TokenStore* before);

  const TokenKeys& keys(size_t file) const { return keys_[file]; }  // to conf::Tokens::keys
  shm::TokenFigures& figures() const {
    return *reinterpret_cast<shm::TokenFigures*>(memory_->data());
  }

 private:
  explicit TokenStore(std::shared_ptr<shm::Zone> memory) : memory_(std::move(memory)) {}

  std::vector<TokenKeys> keys_;
  std::shared_ptr<shm::Zone> memory_;
};

}  // namespace limpet::worker
