// A session as the store keeps it: its key, and a short record of where it lives. Pure.
//
//   key     8 bytes tag | 2 bytes extra, big-endian: what a zone keeps of the identifier's hash
//           under the key that all machines share (shm::Fingerprint). So a session that is in the
//           zone can be written to the store anew, and no identifier can be read there.
//   record  8 bytes time | 2 bytes machine, big-endian: the version | 1 byte kind | the server: its
//           id, or of an id that is an MD5 (kind 'm') the 16 bytes that it says in hexadecimal
//
// The first kVersionSize bytes of two records order them, as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shm/session_table.h"
#include "shm/store_state.h"

namespace limpet::worker {

struct StoreKey {
  uint64_t tag = 0;
  uint16_t extra = 0;  // 15 bits

  static constexpr size_t kSize = 10;
  static StoreKey Of(const shm::SessionKey& key);
  static StoreKey Of(const shm::SessionRecord& session);
  shm::SessionKey ToSessionKey() const;  // which the zone takes for the same session
  bool operator==(const StoreKey&) const = default;
};

struct StoreKeyHash {
  size_t operator()(const StoreKey& key) const { return static_cast<size_t>(key.tag); }
};

struct StoreRecord {
  static constexpr size_t kVersionSize = 10;
  static constexpr size_t kMaxSize = 256;

  enum class Kind : char { kLives = 's', kDeleted = 'd' };
  shm::StoreVersion version;
  Kind kind = Kind::kLives;
  std::string server;  // its id: `route`, `sid` or MD5 of the address; "" if deleted
};

std::string Encode(const StoreKey& key);
std::optional<StoreKey> DecodeKey(std::string_view bytes);
std::string Encode(const StoreRecord& record);
// Nothing: too long, too short, another kind, or no server.
std::optional<StoreRecord> DecodeRecord(std::string_view bytes);

// The one rule of all machines and of the store's script: the newer one stays. Of two that are
// equal, the one that is there.
constexpr bool Wins(const shm::StoreVersion& candidate, const shm::StoreVersion& present) {
  return candidate > present;
}

// A record of a clock that was wrong is invalid.
constexpr bool Credible(const shm::StoreVersion& version, uint64_t wall_ms) {
  return shm::IsCredible(version.time, wall_ms);
}

}  // namespace limpet::worker
