// What is wrong now, and ?fields=.
#include "worker/status/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "shm/zone.h"
#include "tests/shm/table_fixture.h"
#include "worker/status/json_fields.h"

namespace limpet::worker {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kDayS = 86400;

class Problems : public testing::Test {
 protected:
  Problems() {
    http_.session_zones.emplace_back().name = "one";
    table_.table.SetFillLimits({.minor = 0.75, .major = 0.85, .crit = 0.95});
  }

  StatusSource Source() {
    return {.http = http_,
            .counters = *counters_,
            .sessions = sessions_,
            .stores = {},
            .upstreams = {},
            .status = status_,
            .certificate_ends = certificates_};
  }
  std::vector<std::string> Found() {
    std::vector<std::string> lines;
    for (const Problem& problem : FindProblems(Source()))
      lines.push_back(std::string(Name(problem.severity)) + ": " + problem.text);
    return lines;
  }

  conf::Http http_;
  std::unique_ptr<shm::Counters> counters_ = std::make_unique<shm::Counters>();
  shm::TestTable table_{1 << 20};
  std::vector<shm::SessionTable*> sessions_{&table_.table};
  shm::Zone zone_ = *shm::Zone::Anonymous(sizeof(shm::StatusMemory));
  shm::StatusMemory* status_ = reinterpret_cast<shm::StatusMemory*>(zone_.data());
  std::vector<CertificateEnd> certificates_;
};

TEST_F(Problems, AreNoneAtFirst) { EXPECT_THAT(Found(), ElementsAre()); }

TEST_F(Problems, StandTheWorstFirst) {
  counters_->incidents.reload_refused = true;
  table_.table.SetFillLimits({.minor = 0, .major = 0.5, .crit = 0.9});
  certificates_ = {{.file = "a.pem", .server = "a", .not_after_s = Now().seconds - 1}};
  EXPECT_THAT(Found(),
              ElementsAre("crit: certificate a.pem has ended",
                          "error: the configuration on disk was refused, an earlier one serves",
                          "warn: session zone one is 0% full"));
}

TEST_F(Problems, OfCertificatesGrowWithTime) {
  for (const int64_t days : {30, 10, 1})
    certificates_.push_back({.file = std::to_string(days),
                             .server = "",
                             .not_after_s = Now().seconds + days * kDayS + 60});
  EXPECT_THAT(Found(), ElementsAre("error: certificate 1 ends in 24 hours",
                                   "warn: certificate 10 ends in 10 days"));
}

TEST_F(Problems, OfWorkersAreForgottenAfterAnHour) {
  counters_->incidents.worker_deaths[0] = 2;
  status_->mishaps.last_death_s = Now().seconds - 7200;
  EXPECT_THAT(Found(), ElementsAre());
  status_->mishaps.last_death_s = Now().seconds - 60;
  EXPECT_THAT(Found(), ElementsAre("error: 2 workers died since the start"));
  EXPECT_EQ(FindProblems(Source())[0].since_ms, status_->mishaps.last_death_s * 1000);
}

json Only(const json& whole, std::string_view args) {
  return json::parse(GoodFields(whole, args).json);
}

TEST(Fields, AreKeptAtWhateverDepth) {
  const json whole = {{"app", {{"shared", true}, {"peers", {{{"server", "a"}, {"state", "up"}}}}}},
                      {"server", {{"deep", 1}}}};
  EXPECT_EQ(Only(whole, ""), whole);
  EXPECT_EQ(Only(whole, "fields=state"), json({{"app", {{"peers", {{{"state", "up"}}}}}}}));
  EXPECT_EQ(Only(whole, "fields=server,shared"),
            json({{"app", {{"shared", true}, {"peers", {{{"server", "a"}}}}}},
                  {"server", {{"deep", 1}}}}));
}

TEST(Fields, ThatAreNotThereLeaveTheObjectsOfAList) {
  EXPECT_EQ(Only(json::array({{{"a", 1}}, {{"a", 2}}}), "fields=b"),
            json::array({json::object(), json::object()}));
  EXPECT_EQ(Only(json::object({{"a", 1}}), "fields=b"), json::object());
}

}  // namespace
}  // namespace limpet::worker
