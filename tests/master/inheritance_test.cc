#include "master/inheritance.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/kept_zones.h"
#include "shm/limit_req_table.h"

namespace limpet::master {
namespace {

using testing::HasSubstr;

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// A descriptor as exec leaves it to the new binary: open, and not closed on exec.
int Passed(int fd) { return ::fcntl(fd, F_DUPFD, 0); }

constexpr ZoneLabel kLabel{.directive = "limit_req",
                           .name = "one\ttwo\n",
                           .size = 4096,
                           .layout = 17,
                           .key = "$remote_addr\t$uri"};

class OneZone : public testing::Test {
 protected:
  // What the new binary reads if the old one has left `label` with `fd`.
  static Inheritance Read(const ZoneLabel& label, int fd) {
    Bequest bequest;
    bequest.Add(label, fd);
    return Inheritance(bequest.lines());
  }
  static std::string WhyNot(Inheritance inherited, const ZoneLabel& wanted) {
    const auto taken = inherited.TakeZone(wanted);
    return taken ? "taken" : taken.error().message;
  }

  shm::Zone zone_ = *shm::Zone::Nameless(4096);
  int fd_ = Passed(zone_.fd());
};

TEST_F(OneZone, IsTakenOnceAndIsTheSameMemory) {
  Inheritance inherited = Read(kLabel, fd_);
  EXPECT_NE(::fcntl(fd_, F_GETFD) & FD_CLOEXEC, 0);
  {
    const auto taken = inherited.TakeZone(kLabel);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(taken->fd(), fd_);
    zone_.data()[9] = std::byte{3};
    EXPECT_EQ(taken->data()[9], std::byte{3});
    EXPECT_FALSE(inherited.TakeZone(kLabel));
  }
  EXPECT_FALSE(IsOpen(fd_));
}

TEST_F(OneZone, IsClosedWhenNobodyTakesIt) {
  Read(kLabel, fd_);
  EXPECT_FALSE(IsOpen(fd_));
}

TEST_F(OneZone, BeginsAnewWhenAnythingDiffers) {
  struct Case {
    ZoneLabel wanted;
    const char* reason;
  };
  ZoneLabel other = kLabel;
  std::vector<Case> cases;
  other.size = 8192;
  cases.push_back({other, "4096 bytes, not 8192"});
  other = kLabel, other.key = "$uri";
  cases.push_back({other, "another key"});
  other = kLabel, other.layout = 18;
  cases.push_back({other, "laid out otherwise"});
  other = kLabel, other.name = "three";
  cases.push_back({other, "passed on none"});
  other = kLabel, other.directive = "limit_conn_zone";
  cases.push_back({other, "passed on none"});
  for (const Case& test : cases) {
    const int fd = Passed(zone_.fd());
    EXPECT_THAT(WhyNot(Read(kLabel, fd), test.wanted), HasSubstr(test.reason));
    EXPECT_FALSE(IsOpen(fd)) << test.reason;
  }
  ::close(fd_);
}

TEST_F(OneZone, BeginsAnewWhenItsDescriptorIsNone) {
  ::close(fd_);
  for (const int wrong : {fd_, 0, 1, 2}) {
    EXPECT_THAT(WhyNot(Read(kLabel, wrong), kLabel), HasSubstr("no file in memory")) << wrong;
  }
  EXPECT_THAT(WhyNot(Read(kLabel, -1), kLabel), HasSubstr("passed on none"));
}

TEST_F(OneZone, ClosesNobodysSocket) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_THAT(WhyNot(Read(kLabel, socket.get()), kLabel), HasSubstr("no file in memory"));
  EXPECT_TRUE(IsOpen(socket.get()));
  ::close(fd_);
}

TEST_F(OneZone, BeginsAnewWhenItsFileHasAnotherSize) {
  ASSERT_EQ(::ftruncate(fd_, 2048), 0);
  EXPECT_THAT(WhyNot(Read(kLabel, fd_), kLabel), HasSubstr("another size"));
  EXPECT_FALSE(IsOpen(fd_));
}

TEST_F(OneZone, ADescriptorHasOneOwner) {
  Bequest bequest;
  bequest.Add(kLabel, fd_);
  bequest.Add({.directive = "limit_req", .name = "other", .size = 4096, .layout = 17, .key = ""},
              fd_);
  Inheritance inherited(bequest.lines());
  EXPECT_TRUE(inherited.TakeZone(kLabel));
  EXPECT_FALSE(inherited.TakeZone(
      {.directive = "limit_req", .name = "other", .size = 4096, .layout = 17, .key = ""}));
}

TEST(Inheritance, OfSlotsAndSums) {
  Bequest bequest;
  bequest.AddFirstSlot(256);
  bequest.AddCounters({.accepted = 5, .handled = 4, .requests = 1ull << 40});
  const Inheritance inherited(bequest.lines());
  EXPECT_EQ(inherited.first_slot(), 256);
  EXPECT_EQ(inherited.counters().accepted, 5u);
  EXPECT_EQ(inherited.counters().handled, 4u);
  EXPECT_EQ(inherited.counters().requests, 1ull << 40);
}

TEST(Inheritance, OfTrafficAndIncidents) {
  Bequest bequest;
  shm::TrafficSums sums;
  sums.by_sticky[3] = 1ull << 40;
  sums.time_ms = 9;
  bequest.AddTraffic({{"app\n", sums}, {"", {}}});
  bequest.AddIncidents({.worker_deaths = {1, 2, 3}, .last_death_s = 1'900'000'000});
  const Inheritance inherited(bequest.lines());
  ASSERT_EQ(inherited.traffic().size(), 2u);
  EXPECT_EQ(inherited.traffic()[0].name, "app\n");
  EXPECT_EQ(inherited.traffic()[0].sums.by_sticky, sums.by_sticky);
  EXPECT_EQ(inherited.traffic()[0].sums.time_ms, 9u);
  EXPECT_EQ(inherited.traffic()[1].name, "");
  EXPECT_EQ(inherited.incidents().worker_deaths[2], 3u);
  EXPECT_EQ(inherited.incidents().last_death_s, 1'900'000'000);
}

TEST(Inheritance, OfAVersionThatCountsOtherwiseAreLeftAside) {
  const Inheritance inherited("traffic\t6170\t1\t2\nincidents\t1\n");
  EXPECT_TRUE(inherited.traffic().empty());
  EXPECT_EQ(inherited.incidents().worker_deaths[0], 0u);
}

TEST(Inheritance, PassesOverWhatItDoesNotKnow) {
  for (const char* notes :
       {"", "\n\n", "zone", "zone\tlimit_req", "zone\ta\tb\tc\td\te\tf", "slots\t-1", "slots\t",
        "slots\t99999999999", "counters\t1\t2", "counters\t1\t2\tx", "weather\tfine",
        "configured\tapp\t127.0.0.1:80\t0\t0\t0\t0\t0\t0\t0"}) {
    const Inheritance inherited(notes);
    EXPECT_EQ(inherited.first_slot(), 0) << notes;
    EXPECT_EQ(inherited.counters().accepted, 0u) << notes;
  }
}

struct Lines : LogTarget {
  void Write(LogLevel, std::string_view line) override { text += std::string(line) + "\n"; }
  Status Reopen() override { return {}; }
  std::string text;
};

using Zones = KeptZones<shm::LimitReqTable>;

TEST(KeptZones, GoOnInTheNewBinaryOrSayWhyNot) {
  Lines said;
  Log log;
  log.Add(&said, LogLevel::kNotice);
  Zones old_zones("limit_req");
  auto old_table = old_zones.Find({"rate", 65536, "$uri"}, nullptr, log);
  auto resized = old_zones.Find({"resized", 65536, "$uri"}, nullptr, log);
  ASSERT_TRUE(old_table && resized);
  (*old_table)->Account((*old_table)->KeyOf("a"), 1, 0, 5000);

  Bequest bequest;
  old_zones.Bequeath(&bequest);
  ASSERT_EQ(bequest.descriptors().size(), 2u);
  std::string lines = bequest.lines();
  for (const int fd : bequest.descriptors()) {  // as if it came over exec
    const std::string number = fmt::format("\t{}\t", fd);
    lines.replace(lines.find(number), number.size(), fmt::format("\t{}\t", Passed(fd)));
  }
  Inheritance inherited(lines);
  Zones new_zones("limit_req");
  auto new_table = new_zones.Find({"rate", 65536, "$uri"}, &inherited, log);
  ASSERT_TRUE(new_table);
  EXPECT_EQ((*new_table)->used(), 1u);
  auto anew = new_zones.Find({"resized", 4096, "$uri"}, &inherited, log);
  ASSERT_TRUE(anew);
  EXPECT_EQ((*anew)->used(), 0u);
  EXPECT_THAT(said.text, HasSubstr("[notice]"));
  EXPECT_THAT(said.text,
              HasSubstr("limit_req \"resized\" begins anew: the old binary's has 65536"));
  EXPECT_THAT(said.text, Not(HasSubstr("\"rate\"")));
}

TEST(Inheritance, NamesSessionZones) {
  EXPECT_FALSE(Inheritance("slots\t7\n").sessions()) << "an older binary does not name them";
  Bequest none;
  none.AddSessions({});
  ASSERT_TRUE(Inheritance(none.lines()).sessions());
  EXPECT_TRUE(Inheritance(none.lines()).sessions()->empty());
  Bequest two;
  two.AddSessions({{"one\ttwo", "/run/\n.pid", "/state/one"}, {"b", "", "c"}});
  const auto sessions = Inheritance(two.lines() + "sessions\tzz\tx\ty\n").sessions();
  ASSERT_EQ(sessions->size(), 2u);
  EXPECT_EQ(sessions->front().zone, "one\ttwo");
  EXPECT_EQ(sessions->front().home, "/run/\n.pid");
  EXPECT_EQ(sessions->front().snapshot_path, "/state/one");
}

}  // namespace
}  // namespace limpet::master
