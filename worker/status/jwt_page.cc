// `jwt`: how tokens were judged, by all workers.
#include "worker/status/json_parts.h"

namespace limpet::worker {

StatusReply JwtPage(const StatusSource& source) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (source.tokens == nullptr) return Good(Json::object());
  const shm::TokenFigures& figures = *source.tokens;
  Json refused = Json::object();
  for (size_t i = 0; i < shm::TokenFigures::kRefusals; ++i)
    refused[shm::TokenFigures::kRefusalNames[i]] = figures.refused[i].load(kRelaxed);
  return Good(Json{{"verified", figures.verified.load(kRelaxed)},
                   {"remembered", figures.remembered.load(kRelaxed)},
                   {"refused", refused}});
}

}  // namespace limpet::worker
