#include "worker/store/record.h"

#include <gmock/gmock.h>

#include "base/hash.h"

namespace limpet::worker {
namespace {

using Kind = StoreRecord::Kind;

constexpr shm::StoreVersion kVersion{0x0102030405060708, 0x090a};

TEST(StoreRecord, SaysAnMd5InHalfTheBytes) {
  const std::string id = "0123456789abcdeffedcba9876543210";
  const std::string bytes = Encode(StoreRecord{{5, 6}, StoreRecord::Kind::kLives, id});
  EXPECT_EQ(bytes.size(), StoreRecord::kVersionSize + 1 + 16);
  const auto record = DecodeRecord(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->server, id);
  // The long way to say it is none of ours: equal records are equal bytes.
  EXPECT_FALSE(DecodeRecord(bytes.substr(0, StoreRecord::kVersionSize) + "s" + id));
  EXPECT_FALSE(DecodeRecord(bytes.substr(0, bytes.size() - 1)));
}

TEST(StoreKey, IsTheFingerprintBigEndian) {
  const StoreKey key = StoreKey::Of({{0x0102030405060708, 0xFFFF'FFFF'FFFF'8a0b}});
  EXPECT_EQ(key, (StoreKey{0x0102030405060708, 0x0a0b}));  // 15 bits
  EXPECT_EQ(Encode(key), "\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b");
  EXPECT_EQ(DecodeKey(Encode(key)), key);
}

TEST(StoreKey, OfAHashThatBeginsWithZerosIsNoEmptySlot) {
  const StoreKey key = StoreKey::Of({{0, 7}});
  EXPECT_EQ(key, (StoreKey{1, 7}));
  EXPECT_EQ(DecodeKey(Encode(key)), key);
}

TEST(StoreKey, LeadsToTheSameSessionOfAZone) {
  const shm::SessionKey session{SipHash128("identifier", SipKey{1, 2, 3})};
  const StoreKey key = StoreKey::Of(session);
  EXPECT_EQ(StoreKey::Of(key.ToSessionKey()), key);
}

TEST(StoreKey, OfAnotherSizeOrOfNoSessionIsNone) {
  const std::string bytes = Encode(StoreKey{5, 6});
  EXPECT_FALSE(DecodeKey(bytes.substr(1)));
  EXPECT_FALSE(DecodeKey(bytes + "x"));
  EXPECT_FALSE(DecodeKey(""));
  EXPECT_FALSE(DecodeKey(std::string(8, '\0') + "\x01\x02"));  // an empty slot's tag
  EXPECT_FALSE(DecodeKey("12345678\x80\x01"));                 // a 16th bit
}

TEST(StoreRecord, IsVersionKindAndServer) {
  const std::string bytes = Encode(StoreRecord{kVersion, Kind::kLives, "a"});
  EXPECT_EQ(bytes, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0asa");
  const auto record = DecodeRecord(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->version, kVersion);
  EXPECT_EQ(record->kind, Kind::kLives);
  EXPECT_EQ(record->server, "a");
}

TEST(StoreRecord, OfADeletedSessionHasNoServer) {
  const std::string bytes = Encode(StoreRecord{kVersion, Kind::kDeleted, {}});
  EXPECT_EQ(bytes.size(), StoreRecord::kVersionSize + 1);
  const auto record = DecodeRecord(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->kind, Kind::kDeleted);
  EXPECT_FALSE(DecodeRecord(bytes + "a"));
}

TEST(StoreRecord, ThatDoesNotParseIsNone) {
  const std::string head(StoreRecord::kVersionSize, '\1');
  EXPECT_FALSE(DecodeRecord(""));
  EXPECT_FALSE(DecodeRecord(head));
  EXPECT_FALSE(DecodeRecord(head + "s"));   // it lives, and nowhere
  EXPECT_FALSE(DecodeRecord(head + "xa"));  // another kind
  EXPECT_FALSE(DecodeRecord(head + std::string("\0a", 2)));
}

TEST(StoreRecord, HasASizeThatItMayNotPass) {
  const std::string head = std::string(StoreRecord::kVersionSize, '\1') + 's';
  const std::string longest = head + std::string(StoreRecord::kMaxSize - head.size(), 'a');
  EXPECT_TRUE(DecodeRecord(longest));
  EXPECT_FALSE(DecodeRecord(longest + 'a'));
}

TEST(StoreRecord, OrdersByItsFirstBytesAsByItsVersion) {
  const shm::StoreVersion versions[] = {{0, 0},        {0, 1},       {0, 0xFFFF},
                                        {0xFF, 3},     {0x100, 2},   {0x7FFF'FFFF'FFFF'FFFF, 0x80},
                                        {~0ull, 0x7F}, {~0ull, 0x80}};
  for (const auto& a : versions) {
    for (const auto& b : versions) {
      const auto head = [](const shm::StoreVersion& version) {
        return Encode(StoreRecord{version, Kind::kDeleted, {}})
            .substr(0, StoreRecord::kVersionSize);
      };
      EXPECT_EQ(Wins(a, b), head(a) > head(b));  // compares bytes without their sign
    }
  }
}

TEST(Wins, TheNewerOneAndOfTwoEqualTheOneThatIsThere) {
  EXPECT_TRUE(Wins({2, 1}, {1, 9}));
  EXPECT_FALSE(Wins({1, 9}, {2, 1}));
  EXPECT_TRUE(Wins({2, 2}, {2, 1}));  // the machine decides between two of the same time
  EXPECT_FALSE(Wins({2, 2}, {2, 2}));
}

TEST(Credible, ADayAheadOfOurClockAndNotMore) {
  constexpr uint64_t kNow = 1'700'000'000'000;
  const auto at = [](uint64_t wall_ms) { return shm::StoreVersion{wall_ms << 16 | 5, 1}; };
  EXPECT_TRUE(Credible(at(kNow + 10'000), kNow));
  EXPECT_TRUE(Credible(at(0), kNow));
  EXPECT_TRUE(Credible(at(kNow + 86'400'000), kNow));
  EXPECT_FALSE(Credible(at(kNow + 86'400'001), kNow));
  EXPECT_FALSE(Credible({~0ull, 1}, kNow));
}

}  // namespace
}  // namespace limpet::worker
