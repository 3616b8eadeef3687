// Groups built from a few words, and requests that end at once.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

using namespace std::chrono_literals;

inline conf::UpstreamServer Server(int port, int weight = 1) {
  conf::UpstreamServer server;
  server.name = fmt::format("127.0.0.1:{}", port);
  server.addresses = {*SocketAddress::ParseIp("127.0.0.1", static_cast<uint16_t>(port))};
  server.weight = weight;
  return server;
}

inline conf::Upstream Servers(std::vector<conf::UpstreamServer> servers,
                              conf::BalanceMethod method = conf::BalanceMethod::kRoundRobin) {
  conf::Upstream upstream;
  upstream.name = "app";
  upstream.servers = std::move(servers);
  upstream.method = method;
  return upstream;
}

// A group, its configuration and a clock.
struct Fixture {
  explicit Fixture(conf::Upstream upstream, shm::PeerStates* states = nullptr, int slot = 0)
      : conf(std::move(upstream)), group(conf, states, slot) {}

  // One request that succeeds at its first peer: that peer's last digit, or 0 if there was none.
  int Request(std::string_view key = {}, Peer* bound = nullptr,
              const SocketAddress* client = nullptr) {
    PeerSelection selection;
    group.Begin(selection, key, client);
    Peer* peer = group.Choose(selection, bound, now);
    if (peer == nullptr) return 0;
    const int id = peer->address.port() % 10;
    group.Done(selection, Outcome::kOk, now);
    return id;
  }
  std::string Sequence(int n) {
    std::string ids;
    for (int i = 0; i < n; ++i) ids += static_cast<char>('0' + Request());
    return ids;
  }
  // Asks the peer directly and fails.
  void Fail(int index) {
    PeerSelection selection;
    group.Begin(selection);
    Peer* peer = &group.peers()[static_cast<size_t>(index)];
    ASSERT_EQ(group.TryPeer(selection, peer, now), peer);
    group.Done(selection, Outcome::kFailed, now);
  }

  conf::Upstream conf;
  UpstreamGroup group;
  uint64_t now = 1'000'000;
};

}  // namespace limpet::worker
