// What the commands of the command line ask, and what becomes of the answers in a terminal.
#include "worker/status/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "worker/status/control.h"
#include "worker/status/tables.h"

namespace limpet::worker {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

json Asked(const ControlWords& command) {
  const auto line = ControlRequest(command);
  return line ? json::parse(*line) : json(line.error().message);
}
json Asked(std::vector<std::string> words) {
  return Asked(ControlWords{.words = std::move(words)});
}

TEST(Commands, AreCallsOfTheApi) {
  EXPECT_EQ(Asked({"servers"}), json({{"method", "GET"}, {"path", "upstreams"}}));
  EXPECT_EQ(Asked({"servers", "app"}), json({{"method", "GET"}, {"path", "upstreams/app"}}));
  EXPECT_EQ(Asked({"session", "one", "a/b c"}),
            json({{"method", "GET"}, {"path", "sessions/one"}, {"args", "key=a%2Fb%20c"}}));
  EXPECT_EQ(Asked({"explain", "app", "cookie=a&b", "client=::1"}),
            json({{"method", "GET"},
                  {"path", "explain"},
                  {"args", "upstream=app&cookie=a%26b&client=%3A%3A1"}}));
  EXPECT_EQ(Asked({"move", "one", "key", "b"}), json({{"method", "POST"},
                                                      {"path", "sessions/one"},
                                                      {"args", "key=key"},
                                                      {"body", {{"move", {{"to", "b"}}}}}}));
  EXPECT_EQ(Asked({"down", "app", "b"})["body"], json({{"down", true}}));
  EXPECT_EQ(Asked({"up", "app", "b"})["body"], json({{"down", false}}));
  EXPECT_EQ(Asked({"undrain", "app", "b"})["body"], json({{"drain", false}}));
}

// A variable of a script that is not set must not ask for all, or for what is called "".
TEST(Commands, RefuseAnEmptyArgument) {
  const std::vector<std::string> commands[] = {
      {"servers", ""},      {"sessions", ""},     {"stores", ""},          {"session", "", "a"},
      {"session", "a", ""}, {"drain", "app", ""}, {"forget", "one", ""},   {"explain", ""},
      {"down", "", "b"},    {"rebalance", ""},    {"move", "one", "", "b"}};
  for (const auto& words : commands) {
    EXPECT_THAT(Asked(words).dump(),
                StartsWith("\"an argument is empty\\nusage: limpet " + words[0]));
  }
}

TEST(Commands, TakeTheirOptions) {
  const auto deadline = conf::ParseDrainTime("10m,keep");
  ASSERT_TRUE(deadline);
  EXPECT_EQ(Asked({.words = {"drain", "app", "b"}, .deadline = deadline, .move = 20})["body"],
            json({{"drain", true}, {"deadline", "600000ms,keep"}, {"move", "20/s"}}));
  EXPECT_EQ(Asked({.words = {"rebalance", "app"}, .dry_run = true})["body"],
            json({{"dry_run", true}}));
  const ControlWords misplaced[] = {{.words = {"down", "app", "b"}, .deadline = deadline},
                                    {.words = {"restore", "app", "b"}, .move = 20},
                                    {.words = {"drain", "app", "b"}, .dry_run = true},
                                    {.words = {"drain", "app"}},
                                    {.words = {"status", "app"}}};
  for (const ControlWords& command : misplaced)
    EXPECT_THAT(Asked(command).get<std::string>(), StartsWith("usage: limpet " + command.words[0]));
}

TEST(Commands, SayHowTheyAreUsed) {
  for (const CommandRow& row : Commands()) {
    EXPECT_EQ(FindCommand(row.name), &row);
    EXPECT_THAT(HelpOf(row), StartsWith(UsageOf(row) + "\n\n"));
    EXPECT_EQ(HelpOf(row).find("-w SECONDS") != std::string::npos, Reads(row)) << row.name;
    std::string_view rest = row.help;
    for (size_t end; !rest.empty(); rest.remove_prefix(std::min(rest.size(), end))) {
      end = std::min(rest.find('\n'), rest.size()) + 1;
      EXPECT_LE(end, 106u) << row.name << ": a line that a terminal would break";
    }
  }
  EXPECT_EQ(FindCommand("fly"), nullptr);
}

TEST(Answers, OfOneSession) {
  const json session = {{"zone", "one"},
                        {"id", "x"},
                        {"servers", {"10.0.0.1:80"}},
                        {"idle_ms", 61'000},
                        {"expires_in_ms", 0}};
  EXPECT_THAT(SessionText(session), HasSubstr("10.0.0.1:80"));
  EXPECT_THAT(SessionText(session), HasSubstr("61s"));
  EXPECT_THAT(SessionText({{"zone", "one"}, {"id", "x"}, {"servers", json::array()}}),
              HasSubstr("never"));
}

TEST(Answers, OfADrainSayWhatIsLeft) {
  const json peer = {{"server", "b"}, {"state", "draining"}, {"sessions", 1}, {"conns", 2}};
  EXPECT_EQ(ChangedText("app", peer), "app b: draining, 1 session and 2 requests left there\n");
  EXPECT_EQ(ChangedText("app", {{"server", "b"}, {"state", "up"}, {"sessions", 1}}), "app b: up\n");
}

TEST(Answers, OfAlertsBeginWithWhatIsWrong) {
  const json problem = {{"level", "crit"}, {"text", "upstream app has no server"}, {"for_s", 90}};
  const json alert = {{"time", "2026-11-22T10:00:00+00:00"}, {"level", "warn"}, {"text", "full"}};
  const std::string text = AlertsText({{"problems", {problem}}, {"alerts", {alert}}});
  EXPECT_THAT(text, StartsWith("crit   upstream app has no server, for 90s\n"));
  EXPECT_THAT(text, HasSubstr("warn   full\n"));
  EXPECT_EQ(AlertsText({{"problems", json::array()}, {"alerts", json::array()}}),
            "nothing is wrong now\n");
}

// Whatever an answer is, nothing but text comes out.
TEST(Answers, OfAnotherFormAreNoTrouble) {
  const json odd[] = {json::object(),
                      {{"servers", 1}, {"zone", 2}},
                      {{"problems", {1, "x", nullptr}}, {"alerts", {json::array()}}},
                      {{"steps", {1}}, {"servers", {"x"}}, {"decision", 3}},
                      {{"peers", "none"}}};
  for (const json& body : odd) {
    for (const char* command :
         {"session", "explain", "alerts", "servers", "status", "move", "down"})
      (void)Tables({command, "a", "b"}, body.dump());
  }
  EXPECT_THAT((Tables({"zones"}, "[1, {}, \"x\"]")), HasSubstr("ZONE"));
}

}  // namespace
}  // namespace limpet::worker
