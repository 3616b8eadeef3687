#include "worker/http/access/realip.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

conf::RealIp Trusting(std::initializer_list<const char*> networks, bool recursive) {
  conf::RealIp settings;
  settings.recursive = recursive;
  for (const char* text : networks) {
    bool had_host_bits = false;
    settings.from.push_back(*conf::Cidr::Parse(text, &had_host_bits));
  }
  return settings;
}

std::string Found(const conf::RealIp& settings, std::vector<std::string_view> values,
                  std::string_view peer = "127.0.0.1") {
  const auto address = ForwardedAddress(settings, *SocketAddress::ParseIp(peer, 5000),
                                        {values.data(), values.size()});
  return address ? address->ToString() : "-";
}

TEST(RealIp, TakesTheLastAddressOfATrustedPeer) {
  const auto settings = Trusting({"127.0.0.1", "10.0.1.0/24"}, false);
  EXPECT_EQ(Found(settings, {"192.0.2.1"}), "192.0.2.1:0");
  EXPECT_EQ(Found(settings, {"10.0.0.1, 192.0.2.1"}), "192.0.2.1:0");
  EXPECT_EQ(Found(settings, {"192.0.2.1, 10.0.1.1, 127.0.0.1"}), "127.0.0.1:0");
  EXPECT_EQ(Found(settings, {"192.0.2.1", "127.0.0.1, 10.0.1.1"}), "10.0.1.1:0");
  EXPECT_EQ(Found(settings, {"192.0.2.1,  "}), "192.0.2.1:0");
}

TEST(RealIp, BelievesNobodyElse) {
  const auto settings = Trusting({"127.0.0.1"}, true);
  EXPECT_EQ(Found(settings, {"192.0.2.1"}, "127.0.0.2"), "-");
  EXPECT_EQ(Found(settings, {"192.0.2.1"}, "::1"), "-");
}

TEST(RealIp, RecursionWalksOverTrustedAddressesAndLines) {
  const auto settings = Trusting({"127.0.0.1", "10.0.1.0/24"}, true);
  EXPECT_EQ(Found(settings, {"10.0.1.1, 192.0.2.1, 127.0.0.1"}), "192.0.2.1:0");
  EXPECT_EQ(Found(settings, {"10.0.1.1", "192.0.2.1", "127.0.0.1"}), "192.0.2.1:0");
  EXPECT_EQ(Found(settings, {"10.0.1.1"}), "10.0.1.1:0") << "the walk ends at the first address";
}

TEST(RealIp, StopsAtWhatIsNoAddress) {
  const auto settings = Trusting({"127.0.0.1", "10.0.1.0/24"}, true);
  EXPECT_EQ(Found(settings, {"unknown"}), "-");
  EXPECT_EQ(Found(settings, {""}), "-");
  EXPECT_EQ(Found(settings, {"unknown, 10.0.1.1"}), "10.0.1.1:0");
  EXPECT_EQ(Found(settings, {"unknown", "10.0.1.1"}), "10.0.1.1:0");
}

TEST(RealIp, ReadsPortsAndIpv6) {
  const auto settings = Trusting({"127.0.0.1"}, false);
  EXPECT_EQ(Found(settings, {"192.0.2.1:123"}), "192.0.2.1:123");
  EXPECT_EQ(Found(settings, {"2001:db8::1"}), "[2001:db8::1]:0");
  EXPECT_EQ(Found(settings, {"[2001:db8::1]:80"}), "[2001:db8::1]:80");
  EXPECT_EQ(Found(settings, {"unix:/tmp/x"}), "-");
}

}  // namespace
}  // namespace limpet::worker
