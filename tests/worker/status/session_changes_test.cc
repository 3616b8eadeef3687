// One session that the API forgets or moves, in a zone that is also in a store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "shm/counters.h"
#include "tests/shm/table_fixture.h"
#include "worker/status/state_changes.h"

namespace limpet::worker {
namespace {

using testing::HasSubstr;

class SessionChanges : public testing::Test {
 protected:
  SessionChanges() {
    state_->Init(7);
    t_.table.Learn(Session(), a_, BootMs());
  }

  static conf::Http Configuration() {
    conf::Http http;
    http.session_stores.emplace_back().keys = {shm::kTestKey};
    http.session_zones.emplace_back().store = 0;
    return http;
  }
  shm::SessionKey Session() const { return t_.table.KeyOf("mine"); }
  std::string Server() const {
    const shm::Found found = t_.table.Peek(Session(), BootMs());
    return found.result == shm::LookupResult::kHit ? t_.table.PeerName(found.peer) : "";
  }
  StatusReply Forget() { return ForgetSession(source_, zone_, "mine"); }
  StatusReply Move() { return MoveSession(source_, zone_, "mine", {{"move", {{"to", "b"}}}}); }
  // Changes wait that the store has not answered, and there is room for so many more.
  void LeaveRoom(size_t room) {
    state_->Relay(std::vector<shm::SessionRecord>(shm::StoreRelay::kPlaces - room, {.tag = 5}),
                  shm::PeerDirectory{}, 1);
  }

  shm::TestTable t_{1 << 20};
  const uint16_t a_ = t_.table.PeerIndex("a"), b_ = t_.table.PeerIndex("b");
  conf::Http http_ = Configuration();
  std::unique_ptr<shm::Counters> counters_ = std::make_unique<shm::Counters>();
  std::unique_ptr<shm::StoreState> state_ = std::make_unique<shm::StoreState>();
  const std::array<shm::SessionTable*, 1> tables_ = {&t_.table};
  const std::array<shm::StoreState*, 1> states_ = {state_.get()};
  const StatusSource source_{.http = http_,
                             .counters = *counters_,
                             .sessions = tables_,
                             .stores = states_,
                             .upstreams = {}};
  const ZoneRef zone_{.conf = &http_.session_zones[0], .table = &t_.table, .shared = state_.get()};
};

TEST_F(SessionChanges, AreLeftForTheStore) {
  EXPECT_EQ(Move().status, 200);
  EXPECT_EQ(Server(), "b");
  EXPECT_EQ(Forget().status, 200);
  EXPECT_EQ(Server(), "");
  EXPECT_EQ(state_->Waiting(), 2u);
}

TEST_F(SessionChanges, AreRefusedWhereTheStoreCannotBeToldOfThem) {
  LeaveRoom(0);
  for (const StatusReply& reply : {Move(), Forget()}) {
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.json, HasSubstr("ask again"));
  }
  EXPECT_EQ(Server(), "a") << "nothing has changed";
  EXPECT_EQ(state_->figures.dropped, 0u);
}

TEST_F(SessionChanges, OfASessionAreToldUnderAllKeysOrNone) {
  http_.session_stores[0].keys.push_back({1});
  LeaveRoom(1);
  EXPECT_EQ(Forget().status, 503);
  EXPECT_EQ(Server(), "a");
  EXPECT_EQ(Move().status, 200);
}

}  // namespace
}  // namespace limpet::worker
