#include <algorithm>
#include <map>
#include <vector>

#include "base/text.h"
#include "shm/crc32.h"
#include "worker/upstream/lookup.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

constexpr int kPointsPerWeight = 160;

struct Point {
  uint32_t hash;
  int server;  // equal for peers of one `server` line's text
};

// What a server's points are made from: its host and port as written; a Unix socket's path is all
// host.
struct HostPort {
  std::string_view host;
  std::string_view port;
};

HostPort SplitServer(std::string_view server) {
  if (StartsWithIgnoreCase(server, "unix:")) return {server.substr(5), {}};
  const size_t colon = server.rfind(':');
  if (colon == std::string_view::npos) return {server, {}};
  const std::string_view port = server.substr(colon + 1);
  if (!std::all_of(port.begin(), port.end(), IsDigit)) return {server, {}};
  return {server.substr(0, colon), port};
}

// CRC-32 of HOST \0 PORT PREVIOUS, where PREVIOUS is the point before (four bytes, little endian):
// the ring of the ketama-like memcached clients, and of nginx.
void AddPoints(const Peer& peer, int server, std::vector<Point>& ring) {
  const HostPort parts = SplitServer(peer.server);
  shm::Crc32Stream base;
  base.Add(parts.host);
  base.Add(std::string_view("\0", 1));
  base.Add(parts.port);
  uint32_t previous = 0;
  for (int i = 0; i < peer.weight() * kPointsPerWeight; ++i) {
    const char bytes[4] = {
        static_cast<char>(previous & 0xff), static_cast<char>(previous >> 8 & 0xff),
        static_cast<char>(previous >> 16 & 0xff), static_cast<char>(previous >> 24)};
    shm::Crc32Stream crc = base;
    crc.Add({bytes, sizeof bytes});
    previous = crc.value();
    ring.push_back({previous, server});
  }
}

std::vector<Point> MakeRing(const Tier& tier, const std::vector<int>& servers) {
  std::vector<Point> ring;
  for (size_t i = 0; i < tier.peers.size(); ++i) AddPoints(tier.peers[i], servers[i], ring);
  // Of equal points the first in the order of configuration stays.
  std::stable_sort(ring.begin(), ring.end(),
                   [](const Point& a, const Point& b) { return a.hash < b.hash; });
  const auto end = std::unique(ring.begin(), ring.end(),
                               [](const Point& a, const Point& b) { return a.hash == b.hash; });
  ring.erase(end, ring.end());
  return ring;
}

std::vector<int> NumberServers(const Tier& tier) {
  std::map<std::string_view, int> numbers;
  std::vector<int> servers;
  for (const Peer& peer : tier.peers) {
    servers.push_back(numbers.emplace(peer.server, static_cast<int>(numbers.size())).first->second);
  }
  return servers;
}

class HashConsistent final : public Balancer {
 public:
  explicit HashConsistent(const Tier& primaries) {
    const std::vector<int> servers = NumberServers(primaries);
    ring_ = MakeRing(primaries, servers);
    for (size_t i = 0; i < servers.size(); ++i) {
      const auto server = static_cast<size_t>(servers[i]);
      if (server == peers_of_.size()) peers_of_.emplace_back();
      peers_of_[server].push_back(i);
    }
  }

  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    if (selection.lookups > kMostLookups || selection.key.empty() || !IsOnRing(tier)) {
      return PickRoundRobin(tier, selection, bound, now_ms);
    }
    if (Peer* sticky = UsableBound(bound, selection, now_ms)) return sticky;
    if (!selection.prepared) FindPosition(selection);
    do {
      const int server = ring_[selection.hash % ring_.size()].server;
      if (Peer* peer = PickOfServer(tier, server, selection, now_ms)) return peer;
      ++selection.hash;
    } while (++selection.lookups <= kMostLookups);
    return PickRoundRobin(tier, selection, bound, now_ms);
  }

 private:
  // The first point at or after the key's hash; past the last one the ring begins again.
  void FindPosition(PeerSelection& selection) const {
    const uint32_t hash = shm::Crc32(selection.key);
    const auto at =
        std::lower_bound(ring_.begin(), ring_.end(), hash,
                         [](const Point& point, uint32_t value) { return point.hash < value; });
    selection.hash = static_cast<uint32_t>(at - ring_.begin());
    selection.prepared = true;
  }

  // A server's name may stand for several addresses: they take turns.
  Peer* PickOfServer(const Tier& tier, int server, const PeerSelection& selection,
                     uint64_t now_ms) const {
    Peer* best = nullptr;
    int64_t total = 0;
    for (const size_t i : peers_of_[static_cast<size_t>(server)]) {
      Peer& peer = tier.peers[i];
      if (!IsCandidate(peer, selection, now_ms)) continue;
      total += AddWeight(tier, peer, now_ms);
      if (best == nullptr ||
          peer.state->current_weight.load() > best->state->current_weight.load()) {
        best = &peer;
      }
    }
    if (best != nullptr) TakeTurn(*best, total);
    return best;
  }

  // Backups are not.
  bool IsOnRing(const Tier& tier) const {
    return !ring_.empty() && !tier.peers.empty() && tier.peers.front().index == 0;
  }

  std::vector<std::vector<size_t>> peers_of_;  // of each server, their places among the primaries
  std::vector<Point> ring_;                    // by hash, each hash once
};

}  // namespace

std::unique_ptr<Balancer> MakeHashConsistent(const MethodContext& context) {
  return std::make_unique<HashConsistent>(context.primaries);
}

}  // namespace limpet::worker
