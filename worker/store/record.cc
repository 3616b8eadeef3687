#include "worker/store/record.h"

#include <cassert>

#include "base/text.h"
#include "shm/shard.h"

namespace limpet::worker {
namespace {

constexpr size_t kHeadSize = StoreRecord::kVersionSize + 1;
constexpr uint16_t kMostExtra = 0x7FFF;

void PutBigEndian(std::string* out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift & 0xFF));
  }
}

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// An MD5 takes half the room, which is a tenth of a session's memory in Redis.
constexpr char kLivesAtMd5 = 'm';
constexpr size_t kMd5Size = 16;

bool IsMd5(std::string_view id) {
  return id.size() == 2 * kMd5Size && id.find_first_not_of("0123456789abcdef") == id.npos;
}

}  // namespace

StoreKey StoreKey::Of(const shm::SessionKey& key) {
  const auto fingerprint = shm::Fingerprint::Of(key.hash);
  return {fingerprint.tag, fingerprint.extra};
}

StoreKey StoreKey::Of(const shm::SessionRecord& session) {
  return {session.tag, static_cast<uint16_t>(session.extra & 0x7FFF)};
}

shm::SessionKey StoreKey::ToSessionKey() const { return {{tag, extra}}; }

std::string Encode(const StoreKey& key) {
  std::string bytes;
  bytes.reserve(StoreKey::kSize);
  PutBigEndian(&bytes, key.tag, 8);
  PutBigEndian(&bytes, key.extra, 2);
  return bytes;
}

std::optional<StoreKey> DecodeKey(std::string_view bytes) {
  if (bytes.size() != StoreKey::kSize) return std::nullopt;
  const StoreKey key{BigEndian(bytes.substr(0, 8)),
                     static_cast<uint16_t>(BigEndian(bytes.substr(8)))};
  if (key.tag == 0 || key.extra > kMostExtra) return std::nullopt;  // of no session
  return key;
}

std::string Encode(const StoreRecord& record) {
  assert(record.server.size() <= StoreRecord::kMaxSize - kHeadSize);
  assert(record.server.empty() == (record.kind == StoreRecord::Kind::kDeleted));
  std::string bytes;
  bytes.reserve(kHeadSize + record.server.size());
  PutBigEndian(&bytes, record.version.time, 8);
  PutBigEndian(&bytes, record.version.machine, 2);
  const bool is_md5 = IsMd5(record.server);
  bytes.push_back(is_md5 ? kLivesAtMd5 : static_cast<char>(record.kind));
  bytes.append(is_md5 ? *FromHex(record.server) : record.server);
  return bytes;
}

std::optional<StoreRecord> DecodeRecord(std::string_view bytes) {
  if (bytes.size() < kHeadSize || bytes.size() > StoreRecord::kMaxSize) return std::nullopt;
  StoreRecord record{.version = {BigEndian(bytes.substr(0, 8)),
                                 static_cast<uint16_t>(BigEndian(bytes.substr(8, 2)))},
                     .server = std::string(bytes.substr(kHeadSize))};
  switch (bytes[kHeadSize - 1]) {
    case kLivesAtMd5:
      if (record.server.size() != kMd5Size) return std::nullopt;
      record.server = HexLower(record.server);
      return record;
    case static_cast<char>(StoreRecord::Kind::kLives):
      // One way to say a thing only: what is compared byte by byte is the same then.
      if (record.server.empty() || IsMd5(record.server)) return std::nullopt;
      return record;
    case static_cast<char>(StoreRecord::Kind::kDeleted):
      if (!record.server.empty()) return std::nullopt;
      record.kind = StoreRecord::Kind::kDeleted;
      return record;
    default:
      return std::nullopt;
  }
}

}  // namespace limpet::worker
