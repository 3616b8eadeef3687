#include "base/socket_address.h"

#include <gtest/gtest.h>

#include <cstring>
#include <new>

namespace limpet {
namespace {

// An address that is made where other bytes have been.
template <class Make>
std::string BytesOf(Make make) {
  alignas(SocketAddress) unsigned char place[sizeof(SocketAddress)];
  std::memset(place, 0xEE, sizeof place);
  auto* const address = new (place) SocketAddress(make());
  std::string bytes(reinterpret_cast<const char*>(address->get()), address->capacity());
  address->~SocketAddress();
  return bytes;
}

template <class Make>
void ExpectNothingElse(Make make) {
  EXPECT_EQ(BytesOf(make).find('\xEE'), std::string::npos);
}

TEST(SocketAddress, HasNoByteOfWhatWasInItsPlace) {
  const SocketAddress ip = *SocketAddress::ParseIp("127.0.0.1", 80);
  ExpectNothingElse([] { return SocketAddress(); });
  ExpectNothingElse([] { return SocketAddress::Any(AF_INET, 80); });
  ExpectNothingElse([] { return SocketAddress::Any(AF_INET6, 80); });
  ExpectNothingElse([] { return SocketAddress::Unix("/a"); });
  ExpectNothingElse([] { return *SocketAddress::Parse("unix:/a", 0); });
  ExpectNothingElse([&ip] { return SocketAddress(ip.get(), ip.size()); });
}

TEST(SocketAddress, NumbersOfIpv4AreDecimal) {
  const std::pair<const char*, const char*> good[] = {{"1.2.3.4", "1.2.3.4"},
                                                      {"01.2.3.4", "1.2.3.4"},
                                                      {"010.000.0.008", "10.0.0.8"},
                                                      {"255.255.255.255", "255.255.255.255"}};
  for (const auto& [text, address] : good)
    EXPECT_EQ(SocketAddress::ParseIp(text, 0)->HostString(), address) << text;
  for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "1..2.3", ".1.2.3", "1.2.3.", "256.1.1.1",
                          "1.2.3.999999999999", "0x1.2.3.4", "1.2.3.4 "})
    EXPECT_FALSE(SocketAddress::ParseIp(bad, 0)) << bad;
}

TEST(SocketAddress, AUnixPathEndsWhereItEnds) {
  EXPECT_EQ(SocketAddress::Unix("/run/a.sock").ToString(), "unix:/run/a.sock");
  EXPECT_EQ(SocketAddress::Unix("/run/a.sock"), SocketAddress::Unix("/run/a.sock"));
  EXPECT_FALSE(SocketAddress::Unix("/run/a.sock") == SocketAddress::Unix("/run/a.sock2"));
}

TEST(SocketAddress, IsNeverLongerThanItsMemory) {
  char bytes[sizeof(sockaddr_storage) + 64] = {};
  const SocketAddress address(reinterpret_cast<const sockaddr*>(bytes), sizeof bytes);
  EXPECT_LE(address.size(), address.capacity());
  EXPECT_LE(SocketAddress::Unix(std::string(500, 'x')).size(), address.capacity());
}

}  // namespace
}  // namespace limpet
