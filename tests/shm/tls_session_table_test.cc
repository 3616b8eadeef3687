#include "shm/tls_session_table.h"

#include <gtest/gtest.h>

#include "shm/zone.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kNow = 1'000'000;

class TlsSessionTableTest : public testing::Test {
 protected:
  Zone memory_ = std::move(*Zone::Anonymous(size_t{8} * 4096));
  TlsSessionTable table_{memory_.data(), memory_.size()};
};

TEST_F(TlsSessionTableTest, GivesBackWhatItWasGivenWhateverItsLength) {
  for (const size_t size : {1u, 207u, 208u, 209u, 4096u}) {
    const std::string session(size, 's');
    const std::string id = "id" + std::to_string(size);
    ASSERT_TRUE(table_.Keep(id, session, kNow + 1)) << size;
    EXPECT_EQ(table_.Find(id, kNow), session) << size;
  }
}

TEST_F(TlsSessionTableTest, RefusesWhatIsTooLong) {
  EXPECT_FALSE(table_.Keep("id", std::string(4097, 's'), kNow + 1));
  EXPECT_FALSE(table_.Keep("id", "", kNow + 1));
  EXPECT_EQ(table_.used(), 0u);
}

TEST_F(TlsSessionTableTest, ASessionThatIsOverIsGone) {
  table_.Keep("id", std::string(500, 's'), kNow);
  EXPECT_EQ(table_.Find("id", kNow), "");
  EXPECT_EQ(table_.used(), 0u) << "all its parts";
}

TEST_F(TlsSessionTableTest, ForgetsAllPartsOfASession) {
  table_.Keep("id", std::string(500, 's'), kNow + 1);
  EXPECT_EQ(table_.used(), 3u);
  table_.Forget("id");
  EXPECT_EQ(table_.used(), 0u);
  table_.Forget("id");
}

TEST_F(TlsSessionTableTest, ANewSessionOfTheSameIdReplacesTheOldOne) {
  table_.Keep("id", std::string(500, 'a'), kNow + 1);
  table_.Keep("id", "b", kNow + 1);
  EXPECT_EQ(table_.Find("id", kNow), "b");
  EXPECT_EQ(table_.used(), 1u);
}

TEST_F(TlsSessionTableTest, AFullTableForgetsTheOldestAndNeverGivesHalfASession) {
  const uint32_t count = table_.capacity();  // two parts each: half of them fit
  const auto session = [](uint32_t i) { return std::string(300, static_cast<char>('a' + i % 26)); };
  for (uint32_t i = 0; i < count; ++i) table_.Keep(std::to_string(i), session(i), kNow + 1);
  EXPECT_LE(table_.used(), table_.capacity());
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const std::string got = table_.Find(std::to_string(i), kNow);
    if (got.empty()) continue;
    EXPECT_EQ(got, session(i));
    ++found;
  }
  EXPECT_EQ(found, count / 2);
  EXPECT_EQ(table_.Find(std::to_string(count - 1), kNow), session(count - 1));
}

TEST_F(TlsSessionTableTest, TicketsOfBeforeAreOpenedForOneMoreLife) {
  const auto first = table_.Tickets(1000, kNow);
  EXPECT_NE(first[0].cipher, first[1].cipher);
  EXPECT_EQ(table_.Tickets(1000, kNow + 999)[0].name, first[0].name);
  const auto second = table_.Tickets(1000, kNow + 1000);
  EXPECT_NE(second[0].name, first[0].name);
  EXPECT_EQ(second[1].name, first[0].name);
  EXPECT_EQ(second[1].mac, first[0].mac);
  const auto third = table_.Tickets(1000, kNow + 5000);
  EXPECT_NE(third[1].name, second[0].name) << "unused for too long";
}

}  // namespace
}  // namespace limpet::shm
