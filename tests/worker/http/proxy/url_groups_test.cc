#include "worker/http/proxy/url_groups.h"

#include <gtest/gtest.h>

#include <string>

namespace limpet::worker {
namespace {

conf::Upstream ConfOf(const std::string& address) {
  conf::Upstream conf;
  conf.name = address;
  conf.implicit = true;
  conf::UpstreamServer server;
  server.name = address;
  server.addresses = {*SocketAddress::Parse(address, 80)};
  conf.servers.push_back(server);
  return conf;
}

class UrlGroupsTest : public testing::Test {
 protected:
  std::shared_ptr<UrlGroup> Make(int n) {
    return groups_.Make(Name(n), ConfOf("127.0.0.1:" + std::to_string(1000 + n)));
  }
  bool Has(int n) { return groups_.Find(Name(n)) != nullptr; }
  static std::string Name(int n) { return "name-" + std::to_string(n); }

  ~UrlGroupsTest() override {
    groups_.Clear();
    loop_.RunDead();
  }

  Loop loop_;
  UrlGroups groups_{loop_, 0, 3};
};

TEST_F(UrlGroupsTest, TheOneUsedLongestAgoGoes) {
  for (int n = 0; n < 3; ++n) Make(n);
  EXPECT_TRUE(Has(0));
  Make(3);
  EXPECT_EQ(groups_.size(), 3u);
  EXPECT_FALSE(Has(1));
  EXPECT_TRUE(Has(0) && Has(2) && Has(3));
}

TEST_F(UrlGroupsTest, AddressesCount) {
  for (int n = 0; n < 3; ++n) Make(n);
  conf::Upstream two = ConfOf("127.0.0.1:9000");
  two.servers[0].addresses.push_back(*SocketAddress::Parse("127.0.0.2:9000", 80));
  groups_.Make("two", two);
  EXPECT_EQ(groups_.size(), 2u);
  EXPECT_TRUE(Has(2));
  groups_.Make("two", ConfOf("127.0.0.1:9000"));
  Make(4);
  EXPECT_EQ(groups_.size(), 3u);
}

TEST_F(UrlGroupsTest, OneInUseStays) {
  const auto held = Make(0);
  for (int n = 1; n < 9; ++n) Make(n);
  EXPECT_EQ(groups_.Find(Name(0)), held);
  EXPECT_EQ(groups_.size(), 3u);
}

TEST_F(UrlGroupsTest, WhileAllAreInUseThereAreMore) {
  std::vector<std::shared_ptr<UrlGroup>> held;
  for (int n = 0; n < 5; ++n) held.push_back(Make(n));
  EXPECT_EQ(groups_.size(), 5u);
  held.clear();
  Make(9);
  EXPECT_EQ(groups_.size(), 3u);
  EXPECT_TRUE(Has(9));
}

TEST_F(UrlGroupsTest, AnotherOfTheSameNameTakesItsPlace) {
  const auto old = Make(0);
  const auto fresh = groups_.Make(Name(0), ConfOf("127.0.0.2:1000"));
  EXPECT_EQ(groups_.size(), 1u);
  EXPECT_EQ(groups_.Find(Name(0)), fresh);
  EXPECT_FALSE(fresh->HasAddresses({*SocketAddress::Parse("127.0.0.1:1000", 80)}));
  EXPECT_TRUE(old->HasAddresses({*SocketAddress::Parse("127.0.0.1:1000", 80)}));
}

}  // namespace
}  // namespace limpet::worker
