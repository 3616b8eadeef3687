// A sticky policy as the configuration makes it, between two servers, "a" and "b".
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "tests/conf/support.h"
#include "tests/shm/table_fixture.h"
#include "worker/sticky/sticky.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

class PolicyFixture {
 public:
  // `directives`: of the upstream; `of_a`: more parameters of its first server.
  explicit PolicyFixture(std::string_view directives, std::string_view of_a = {})
      : config_(conf::MustLoad(conf::InHttp("upstream app { server 127.0.0.1:8081 route=a " +
                                            std::string(of_a) + "; server 127.0.0.1:8082 route=b;" +
                                            std::string(directives) + "}"))),
        group_(upstream(), nullptr, 0),
        memory_(256 * 1024),
        request_(config_->http->variables),
        policy_(MakeSticky(upstream(), group_, {zone(), &memory_.table, nullptr})) {}

  const conf::Upstream& upstream() const { return *config_->http->upstreams[0]; }
  StickyPolicy& policy() { return *policy_; }
  shm::SessionTable& table() { return memory_.table; }
  conf::FakeReader& request() { return request_; }
  Peer& peer(std::string_view route) { return *group_.FindByServerId(route); }
  static std::string NameOf(const Peer* peer) { return peer == nullptr ? "" : peer->server_id; }

  // A new request, which brings these variables.
  Peer* Find(std::map<std::string, std::string> variables) {
    request_.values = std::move(variables);
    state = {};
    return policy_->Find(request_, state);
  }
  std::string OnChosen(std::string_view route) {
    return std::string(policy_->OnChosen(request_, state, peer(route)));
  }

  StickyState state;

 private:
  const conf::SessionZone* zone() const {
    const int index = upstream().sticky.learn.zone;
    return index < 0 ? nullptr : &config_->http->session_zones[static_cast<size_t>(index)];
  }

  std::unique_ptr<const conf::Config> config_;
  UpstreamGroup group_;
  shm::TestTable memory_;
  conf::FakeReader request_;
  std::unique_ptr<StickyPolicy> policy_;
};

// What a request that brings these values is found to be. The variables are `name`s in that order.
struct FindRow {
  std::string_view why;
  std::array<std::string_view, 2> values;
  std::string_view server;
  StickyStatus status;
};
inline void ExpectFound(PolicyFixture& fixture, const std::array<std::string_view, 2>& names,
                        const FindRow& row) {
  const Peer* found = fixture.Find({{std::string(names[0]), std::string(row.values[0])},
                                    {std::string(names[1]), std::string(row.values[1])}});
  EXPECT_EQ(PolicyFixture::NameOf(found), row.server) << row.why;
  EXPECT_EQ(fixture.state.bound, found) << row.why;
  EXPECT_EQ(fixture.state.status, row.status) << row.why;
}

}  // namespace limpet::worker
