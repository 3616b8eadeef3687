// Where a running nginx puts keys and clients, we put them: placements.txt was written by
// make_placements.py.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using Method = conf::BalanceMethod;

std::vector<std::string> Split(const std::string& text, const std::string& by) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(by, begin)) != std::string::npos; begin = end + by.size()) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

conf::UpstreamServer ParseServer(const std::string& text) {
  conf::UpstreamServer server;
  for (const std::string& word : Split(text, " ")) {
    if (word == "down") {
      server.down = true;
    } else if (word.starts_with("weight=")) {
      server.weight = std::stoi(word.substr(7));
    } else {
      server.name = word;
      server.addresses = {*SocketAddress::Parse(word, 80)};
    }
  }
  return server;
}

std::string Client(int i) {  // as in make_placements.py
  return fmt::format("127.{}.{}.{}", i % 250 + 1, i * 7 % 256, i % 250 + 1);
}

struct Line {
  std::string method, servers, letters;

  conf::Upstream Upstream() const {
    std::vector<conf::UpstreamServer> list;
    for (const std::string& server : Split(servers, "; ")) list.push_back(ParseServer(server));
    return Servers(std::move(list), method == "ip_hash" ? Method::kIpHash
                                    : method == "hash"  ? Method::kHash
                                                        : Method::kHashConsistent);
  }
};

std::vector<Line> Lines() {
  std::ifstream file(PLACEMENTS);
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text);) {
    const auto parts = Split(text, " | ");
    lines.push_back({parts.at(0), parts.at(1), parts.at(2)});
  }
  return lines;
}

char PlaceOf(UpstreamGroup& group, int i) {
  const std::string key = "key-" + std::to_string(i);
  const SocketAddress client = *SocketAddress::ParseIp(Client(i), 1234);
  PeerSelection selection;
  group.Begin(selection, key, &client);
  const Peer* peer = group.Choose(selection, nullptr, 1'000'000);
  if (peer == nullptr) return '-';
  const int index = peer->index;
  group.Done(selection, Outcome::kOk, 1'000'000);
  return static_cast<char>('a' + index);
}

TEST(Placement, IsThatOfNginx) {
  const std::vector<Line> lines = Lines();
  ASSERT_GE(lines.size(), 30u);
  for (const Line& line : lines) {
    Fixture f(line.Upstream());
    std::string ours;
    for (size_t i = 0; i < line.letters.size(); ++i) ours += PlaceOf(f.group, static_cast<int>(i));
    EXPECT_EQ(ours, line.letters) << line.method << ' ' << line.servers;
  }
}

// Of N servers one moves to another address: what it had moves, at most a share of the keys as
// large as its own before and after together; no key moves between two that stay.
TEST(Placement, AServerThatMovesTakesItsOwnShareOnly) {
  constexpr int kServers = 8, kKeys = 4000;
  const auto group_with = [](const std::string& last) {
    std::vector<conf::UpstreamServer> servers;
    for (int i = 1; i < kServers; ++i)
      servers.push_back(ParseServer(fmt::format("10.0.0.{}:80", i)));
    servers.push_back(ParseServer(last));
    return Servers(std::move(servers), Method::kHashConsistent);
  };
  Fixture before(group_with("10.0.0.100:80"));
  Fixture after(group_with("10.0.0.200:80"));
  const char moved = 'a' + kServers - 1;
  int own_before = 0, own_after = 0, changed = 0;
  for (int i = 0; i < kKeys; ++i) {
    const char was = PlaceOf(before.group, i), is = PlaceOf(after.group, i);
    own_before += was == moved ? 1 : 0;
    own_after += is == moved ? 1 : 0;
    changed += was != is ? 1 : 0;
    if (was != moved && is != moved) {
      ASSERT_EQ(was, is) << i;
    }
  }
  EXPECT_LE(changed, own_before + own_after);
  EXPECT_NEAR(own_before, kKeys / kServers, kKeys / kServers / 2);
  EXPECT_NEAR(own_after, kKeys / kServers, kKeys / kServers / 2);
}

}  // namespace
}  // namespace limpet::worker
