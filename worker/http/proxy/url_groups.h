// The groups that a proxy_pass with variables has named at run time: a literal address, or what a
// resolver said of a name. Requests choose the names, so the groups have only so many addresses
// together, each of which is a peer: where there are more, the one goes that was used longest ago
// and that no exchange uses now.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/socket_address.h"
#include "base/text.h"
#include "conf/upstream.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/net/loop.h"

namespace limpet::worker {

// One server with its addresses. Freed by the loop when nobody uses it any more.
class UrlGroup final : public Deletable {
 public:
  UrlGroup(Loop& loop, int slot, conf::Upstream conf);

  bool HasAddresses(const std::vector<SocketAddress>& addresses) const;  // in any order
  size_t addresses() const { return conf_.servers.front().addresses.size(); }
  UpstreamRuntime& upstream() { return upstream_; }

 private:
  conf::Upstream conf_;
  UpstreamRuntime upstream_;
};

class UrlGroups {
 public:
  static constexpr size_t kMost = 10'000;  // addresses

  UrlGroups(Loop& loop, int slot, size_t most = kMost) : loop_(loop), slot_(slot), most_(most) {}

  // Whoever uses a group holds the pointer meanwhile. Null: there is none of that name.
  std::shared_ptr<UrlGroup> Find(std::string_view name);
  // In place of the one of that name, if there is one. There are more than `most` addresses only
  // while so many are in use.
  std::shared_ptr<UrlGroup> Make(const std::string& name, conf::Upstream conf);
  size_t size() const { return by_name_.size(); }
  // Where the requests of all groups count that are made from now on; null: nowhere.
  void set_traffic(shm::TrafficLine* line) { traffic_ = line; }
  void Clear();

 private:
  struct Entry {
    std::string name;
    std::shared_ptr<UrlGroup> group;
  };
  using Entries = std::list<Entry>;
  void Trim();

  Loop& loop_;
  int slot_;
  size_t most_;
  shm::TrafficLine* traffic_ = nullptr;
  size_t addresses_ = 0;  // of all groups in entries_
  Entries entries_;       // the one used longest ago first
  std::unordered_map<std::string, Entries::iterator, HashText, std::equal_to<>> by_name_;
};

}  // namespace limpet::worker
