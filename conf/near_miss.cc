#include "conf/near_miss.h"

#include <fmt/core.h>

#include "base/text.h"

namespace limpet::conf {
namespace {

constexpr size_t kLongest = 64;  // of a word that is compared at all

}  // namespace

NearMiss::NearMiss(std::string_view word) : word_(word), limit_(word.size() > 4 ? 2 : 1) {}

void NearMiss::Offer(std::string_view name) {
  if (word_.size() > kLongest || name.size() > kLongest) return;
  const size_t distance = EditDistance(word_, name);
  if (distance > limit_) return;
  if (!nearest_.empty() && distance == limit_ && nearest_ < name) return;
  limit_ = distance;
  nearest_ = name;
}

std::string NearMiss::Hint() const {
  return nearest_.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", nearest_);
}

}  // namespace limpet::conf
