// Placement of keys: a user's keys must land where nginx puts them. The references here are
// independent and slow.
#include <gtest/gtest.h>

#include <set>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using Method = conf::BalanceMethod;

uint32_t SlowCrc32(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// The ring of "127.0.0.1:PORT" servers: hash to the port's last digit.
std::map<uint32_t, int> ReferenceRing(const std::vector<std::pair<int, int>>& ports_and_weights) {
  std::map<uint32_t, int> ring;
  for (const auto& [port, weight] : ports_and_weights) {
    const std::string base = std::string("127.0.0.1") + '\0' + std::to_string(port);
    uint32_t previous = 0;
    for (int i = 0; i < weight * 160; ++i) {
      std::string bytes = base;
      for (int shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(previous >> shift & 0xff);
      }
      previous = SlowCrc32(bytes);
      ring.emplace(previous, port % 10);  // the first of equal points stays
    }
  }
  return ring;
}

int ReferencePlace(const std::map<uint32_t, int>& ring, const std::string& key) {
  const auto at = ring.lower_bound(SlowCrc32(key));
  return at == ring.end() ? ring.begin()->second : at->second;
}

TEST(HashConsistent, PlacesKeysAsTheReference) {
  Fixture f(Servers({Server(8081), Server(8082, 3), Server(8083, 2)}, Method::kHashConsistent));
  const auto ring = ReferenceRing({{8081, 1}, {8082, 3}, {8083, 2}});
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "session-" + std::to_string(i);
    ASSERT_EQ(f.Request(key), ReferencePlace(ring, key)) << key;
  }
}

TEST(HashConsistent, RemovingAServerMovesOnlyItsKeys) {
  Fixture all(
      Servers({Server(8081), Server(8082), Server(8083), Server(8084)}, Method::kHashConsistent));
  Fixture less(Servers({Server(8081), Server(8082), Server(8083)}, Method::kHashConsistent));
  for (int i = 0; i < 2000; ++i) {
    const std::string key = std::to_string(i);
    const int before = all.Request(key);
    if (before != 4) {
      ASSERT_EQ(less.Request(key), before) << key;
    }
  }
}

TEST(HashConsistent, AddressesOfOneNameTakeTurns) {
  conf::UpstreamServer many = Server(8081);
  many.name = "web:80";
  many.addresses.push_back(Server(8082).addresses[0]);
  Fixture f(Servers({many}, Method::kHashConsistent));
  EXPECT_EQ(f.Request("k"), 1);
  EXPECT_EQ(f.Request("k"), 2);
  EXPECT_EQ(f.Request("k"), 1);
}

// crc32 >> 16 & 0x7fff of [rehash]key, summed up, modulo the weights.
int ReferenceHash(const std::string& key, const std::vector<int>& weights,
                  const std::set<int>& out = {}) {
  int total = 0;
  for (const int weight : weights) total += weight;
  uint32_t hash = 0;
  for (int rehash = 0;; ++rehash) {
    hash += SlowCrc32((rehash > 0 ? std::to_string(rehash) : "") + key) >> 16 & 0x7fff;
    int point = static_cast<int>(hash % static_cast<uint32_t>(total));
    int server = 0;
    while (point >= weights[static_cast<size_t>(server)]) {
      point -= weights[static_cast<size_t>(server++)];
    }
    if (out.count(server + 1) == 0) return server + 1;
  }
}

TEST(Hash, PlacesKeysAsTheReference) {
  Fixture f(Servers({Server(8081, 2), Server(8082), Server(8083)}, Method::kHash));
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_EQ(f.Request(key), ReferenceHash(key, {2, 1, 1})) << key;
  }
}

TEST(Hash, RehashesPastAServerThatIsDown) {
  auto down = Server(8082);
  down.down = true;
  Fixture f(Servers({Server(8081, 2), down, Server(8083)}, Method::kHash));
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_EQ(f.Request(key), ReferenceHash(key, {2, 1, 1}, {2})) << key;
  }
}

TEST(Hash, WithoutAKeyTakesTurns) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kHash));
  EXPECT_EQ(f.Sequence(4), "1212");
}

int ReferenceIpHash(const std::vector<int>& bytes, int servers) {
  int hash = 89;
  for (const int byte : bytes) hash = (hash * 113 + byte) % 6271;
  return hash % servers + 1;
}

TEST(IpHash, TakesThreeBytesOfIpv4) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}, Method::kIpHash));
  for (int b = 0; b < 256; ++b) {
    const int want = ReferenceIpHash({10, b, 7}, 3);
    for (const int last : {1, 200}) {
      const auto client = *SocketAddress::ParseIp(fmt::format("10.{}.7.{}", b, last), 1234);
      ASSERT_EQ(f.Request({}, nullptr, &client), want);
    }
  }
}

TEST(IpHash, TakesAllOfIpv6) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}, Method::kIpHash));
  for (int last = 1; last < 100; ++last) {
    const auto client = *SocketAddress::ParseIp(fmt::format("2001:db8::{:x}", last), 1234);
    const std::vector<int> bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
    ASSERT_EQ(f.Request({}, nullptr, &client), ReferenceIpHash(bytes, 3));
  }
}

}  // namespace
}  // namespace limpet::worker
