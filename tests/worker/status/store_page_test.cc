// What is said of session stores: by the API, to Prometheus, in a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "shm/counters.h"
#include "shm/store_state.h"
#include "worker/status/control.h"
#include "worker/status/fields.h"
#include "worker/status/status.h"
#include "worker/status/store_facts.h"

namespace limpet::worker {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// Store "shared" has zones "one" and "two", "own" is of this machine only, no zone has "idle".
class StorePages : public testing::Test {
 protected:
  StorePages() {
    conf::SessionStore& shared = http_.session_stores.emplace_back();
    shared.name = "shared";
    shared.servers = {{.name = "redis1:6379"}, {.name = "unix:/run/redis.sock"}};
    shared.user = "the-user";
    shared.password = "the-password";
    shared.keys.emplace_back().fill('k');
    http_.session_stores.emplace_back().name = "idle";
    for (const char* name : {"own", "one", "two"}) {
      http_.session_zones.emplace_back().name = name;
      http_.session_zones.back().store = name == std::string_view("own") ? -1 : 0;
    }
  }

  StatusSource Source() {
    return {
        .http = http_, .counters = *counters_, .sessions = {}, .stores = states_, .upstreams = {}};
  }
  json Page(std::string_view path) {
    const StatusReply reply = ApiPage(Source(), path);
    EXPECT_EQ(reply.status, 200) << path;
    return json::parse(reply.json);
  }
  // What a command prints.
  std::string Ask(std::vector<std::string> words) {
    const ControlWords command{.words = std::move(words), .deadline = {}};
    const auto request = ControlRequest(command);
    EXPECT_TRUE(request);
    return ShowControlReply(command, ControlAnswer(Source(), *request), false).text;
  }
  static void Lose(shm::StoreState& state, uint64_t for_ms) {
    state.figures.lost_ms = BootMs() - for_ms;
  }

  conf::Http http_;
  std::unique_ptr<shm::Counters> counters_ = std::make_unique<shm::Counters>();
  std::unique_ptr<shm::StoreState> one_ = std::make_unique<shm::StoreState>();
  std::unique_ptr<shm::StoreState> two_ = std::make_unique<shm::StoreState>();
  std::array<shm::StoreState*, 3> states_ = {nullptr, one_.get(), two_.get()};
};

TEST_F(StorePages, SayWhatIsConfiguredAndEveryFigure) {
  uint64_t n = 0;
  for (const StoreField& field : kStoreFields) one_->figures.*field.value = ++n;
  one_->figures.lag_ms = 12;
  one_->figures.workers.Of(11).asking = one_->figures.workers.Of(13).asking = 1;
  one_->figures.workers.Of(11).waiting = 3;
  one_->figures.workers.Of(12).waiting = 4;
  const json store = Page("stores/shared");
  EXPECT_EQ(store["servers"], json({"redis1:6379", "unix:/run/redis.sock"}));
  EXPECT_EQ(store["state"], "up");
  EXPECT_EQ(store["wait_ms"], 50);
  EXPECT_EQ(store["zones"].size(), 2u);
  const json& zone = store["zones"]["one"];
  n = 0;
  for (const StoreField& field : kStoreFields) EXPECT_EQ(zone[std::string(field.name)], ++n);
  EXPECT_EQ(zone["lag_ms"], 12);
  EXPECT_EQ(zone["waiting"], 7);
  EXPECT_EQ(zone["asking_workers"], 2);
  EXPECT_EQ(zone["state"], "up");
  EXPECT_FALSE(zone.contains("lost_since"));
  EXPECT_EQ(store["zones"]["two"]["asked"], 0);
}

TEST_F(StorePages, SayForHowLongAStoreIsLostAndForWhichZone) {
  Lose(*two_, 12'345);
  const json all = Page("stores");
  EXPECT_EQ(all["shared"]["state"], "lost");
  EXPECT_EQ(all["shared"]["zones"]["one"]["state"], "up");
  const json& zone = all["shared"]["zones"]["two"];
  EXPECT_EQ(zone["state"], "lost");
  EXPECT_GE(zone["lost_ms"], 12'345);
  EXPECT_LT(zone["lost_ms"], 112'345);
  EXPECT_THAT(zone["lost_since"].get<std::string>(), HasSubstr("T"));
  EXPECT_EQ(all["idle"]["state"], "unused");
  EXPECT_EQ(all["idle"]["zones"], json::object());
}

TEST_F(StorePages, StandInTheRoot) {
  Lose(*one_, 1);
  EXPECT_EQ(Page("")["stores"], json({{"shared", "lost"}, {"idle", "unused"}}));
  http_.session_stores.clear();
  for (conf::SessionZone& zone : http_.session_zones) zone.store = -1;
  EXPECT_EQ(Page("")["stores"], json::object());
  EXPECT_EQ(Page("stores"), json::object());
}

TEST_F(StorePages, KnowNoOtherStore) {
  EXPECT_EQ(ApiPage(Source(), "stores/own").status, 404);
  EXPECT_EQ(ApiPage(Source(), "stores/shared/one").status, 404);
  EXPECT_EQ(Page("stores/"), Page("stores"));
}

TEST_F(StorePages, HaveNoSecrets) {
  const std::string all =
      ApiPage(Source(), "stores").json + MetricsPage(Source()) + Ask({"stores"});
  for (const char* secret : {"the-user", "the-password", "kkkk", "6b6b"})
    EXPECT_THAT(all, Not(HasSubstr(secret)));
}

TEST_F(StorePages, AreMetrics) {
  one_->figures.lag_ms = 1500;
  one_->figures.workers.Of(11).waiting = 9;
  one_->figures.timed_out = 2;
  one_->figures.dropped = 3;
  one_->figures.losses = 4;
  Lose(*two_, 1);
  const std::string page = MetricsPage(Source());
  for (const char* line :
       {"# TYPE limpet_store_up gauge", "limpet_store_up{store=\"shared\",zone=\"one\"} 1",
        "limpet_store_up{store=\"shared\",zone=\"two\"} 0",
        "limpet_store_lag_seconds{store=\"shared\",zone=\"one\"} 1.5",
        "limpet_store_waiting{store=\"shared\",zone=\"one\"} 9",
        "limpet_store_asking_workers{store=\"shared\",zone=\"one\"} 0",
        "# TYPE limpet_store_questions_total counter",
        "limpet_store_questions_total{store=\"shared\",zone=\"one\",result=\"timed_out\"} 2",
        "limpet_store_changes_total{store=\"shared\",zone=\"one\",result=\"dropped\"} 3",
        "limpet_store_losses_total{store=\"shared\",zone=\"one\"} 4"}) {
    EXPECT_THAT(page, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(page, Not(HasSubstr("zone=\"own\"")));
  // All samples of a metric stand together, behind its one HELP line.
  size_t helps = 0;
  for (size_t at = 0; (at = page.find("# HELP limpet_store_questions_total", at)) != page.npos;
       ++at)
    ++helps;
  EXPECT_EQ(helps, 1u);
}

TEST_F(StorePages, AreNoMetricsWhereNoZoneIsShared) {
  for (conf::SessionZone& zone : http_.session_zones) zone.store = -1;
  EXPECT_THAT(MetricsPage(Source()), Not(HasSubstr("limpet_store_")));
}

TEST_F(StorePages, AreATable) {
  one_->figures.asked = 17;
  one_->figures.lag_ms = 5;
  Lose(*two_, 12'000);
  const std::string table = Ask({"stores"});
  EXPECT_THAT(table, testing::ContainsRegex("STORE +ZONE +STATE +LOST_S +LAG_MS +WAITING"));
  EXPECT_THAT(table, testing::ContainsRegex("shared +one +up +- +5 +0 +0 +17"));
  EXPECT_THAT(table, testing::ContainsRegex("shared +two +lost +12 +0 +0"));
  EXPECT_THAT(table, testing::ContainsRegex("idle +- +unused +- +-"));
  EXPECT_THAT(Ask({"stores", "shared"}), Not(HasSubstr("idle")));
  EXPECT_EQ(Ask({"stores", "nobody"}), "no such session store");
  EXPECT_THAT(Ask({"status"}), testing::ContainsRegex("stores shared +lost"));
}

}  // namespace
}  // namespace limpet::worker
