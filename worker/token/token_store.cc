#include "worker/token/token_store.h"

namespace limpet::worker {

Result<std::shared_ptr<const TokenStore>> TokenStore::Load(const conf::Tokens& tokens,
                                                           const TokenStore* before) {
  if (tokens.claims.empty()) return std::shared_ptr<const TokenStore>();
  std::shared_ptr<shm::Zone> memory = before != nullptr ? before->memory_ : nullptr;
  if (memory == nullptr) {
    auto made = shm::Zone::Anonymous(sizeof(shm::TokenFigures));
    if (!made) return made.error();
    memory = std::make_shared<shm::Zone>(std::move(*made));
  }
  std::shared_ptr<TokenStore> store(new TokenStore(std::move(memory)));
  for (const conf::TokenKeys& file : tokens.keys) {
    auto keys = TokenKeys::Parse(file.path, file.bytes);
    if (!keys) return keys.error();
    store->keys_.push_back(std::move(*keys));
  }
  return std::shared_ptr<const TokenStore>(std::move(store));
}

}  // namespace limpet::worker
