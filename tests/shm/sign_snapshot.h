// Makes the checksums of a damaged snapshot right again, so that tests get behind them.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "shm/crc32.h"

namespace limpet::shm {

inline void SignSnapshot(std::string* bytes) {
  constexpr size_t kBodyCrc = 96;  // offsets in the file's header
  constexpr size_t kHeaderCrc = 100;
  constexpr size_t kHeader = 104;
  if (bytes->size() < kHeader) return;
  const uint32_t body = Crc32(std::string_view(*bytes).substr(kHeader));
  std::memcpy(bytes->data() + kBodyCrc, &body, sizeof body);
  const uint32_t header = Crc32(std::string_view(*bytes).substr(0, kHeaderCrc));
  std::memcpy(bytes->data() + kHeaderCrc, &header, sizeof header);
}

}  // namespace limpet::shm
