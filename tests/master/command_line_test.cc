#include "master/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace limpet::master {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<CommandLine> Parse(std::vector<const char*> args) { return ParseCommandLine(args); }

TEST(CommandLine, ServesByDefault) {
  const auto parsed = Parse({});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->order, Order::kServe);
}

TEST(CommandLine, TakesValuesInTheSameWordOrTheNext) {
  const auto parsed = Parse({"-p/a/", "-c", "b.conf", "-e", "stderr", "-g", "daemon off;"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->prefix, "/a/");
  EXPECT_EQ(parsed->file, "b.conf");
  EXPECT_EQ(parsed->error_log, "stderr");
  EXPECT_EQ(parsed->global_directives, "daemon off;");
}

TEST(CommandLine, LettersMayShareAWord) {
  const auto parsed = Parse({"-tq"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->order, Order::kTest);
  EXPECT_TRUE(parsed->quiet);
}

TEST(CommandLine, TakesHelpAndVersionAsWords) {
  EXPECT_EQ(Parse({"--help"})->said, Said::kHelp);
  EXPECT_EQ(Parse({"--version"})->said, Said::kVersion);
}

TEST(CommandLine, ATestIsMadeWhateverElseIsAsked) {
  const std::pair<std::vector<const char*>, Order> rows[] = {
      {{"-tv"}, Order::kTest},
      {{"-V", "-t"}, Order::kTest},
      {{"-t", "-s", "reload"}, Order::kTest},
      {{"-Tt"}, Order::kTestAndDump},
      {{"-t", "drain", "app"}, Order::kTest}};
  for (const auto& [args, order] : rows) EXPECT_EQ(Parse(args)->order, order) << args[0];
  EXPECT_EQ(Parse({"-tv"})->said, Said::kVersion);
  EXPECT_EQ(Parse({"-Vv"})->said, Said::kVersionAndBuild);
}

TEST(CommandLine, GlobalDirectivesMayBeNone) {
  const auto parsed = Parse({"-g", "", "-t"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->global_directives, "");
  EXPECT_EQ(parsed->order, Order::kTest);
  EXPECT_FALSE(Parse({"-g"}));
}

TEST(CommandLine, KnowsSignalsByName) {
  const std::pair<const char*, int> rows[] = {
      {"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};
  for (const auto& [name, signal] : rows) {
    const auto parsed = Parse({"-s", name});
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->order, Order::kSignal);
    EXPECT_EQ(parsed->signal, signal) << name;
  }
}

TEST(CommandLine, SaysWhatIsWrong) {
  const std::pair<std::vector<const char*>, const char*> rows[] = {
      {{"-x"}, "invalid option: \"x\""},
      {{"word"}, "unknown command \"word\": \"limpet -h\" lists them"},
      {{"-"}, "invalid option: \"-\""},
      {{"--verbose"}, "invalid option: \"--verbose\""},
      {{"reload"}, "unknown command \"reload\": it is a signal, write -s reload"},
      {{"-c"}, "option \"-c\" requires file name"},
      {{"-p", ""}, "option \"-p\" requires directory name"},
      {{"-s", "dance"}, "invalid option: \"-s dance\""}};
  for (const auto& [args, message] : rows) {
    const auto parsed = Parse(args);
    ASSERT_FALSE(parsed) << message;
    EXPECT_EQ(parsed.error().message, message);
  }
}

TEST(CommandLine, WordsAreACommandAndWhatItIsAbout) {
  const auto parsed =
      Parse({"-p", "/a/", "drain", "app", "10.0.0.1:80", "--deadline", "10m,keep", "--json"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->order, Order::kControl);
  EXPECT_THAT(parsed->words, ::testing::ElementsAre("drain", "app", "10.0.0.1:80"));
  EXPECT_TRUE(parsed->json && parsed->deadline && parsed->deadline->keeps);
  EXPECT_EQ(Parse({"upgrade"})->order, Order::kUpgrade);
  EXPECT_EQ(Parse({"--help"})->said, Said::kHelp);
  EXPECT_EQ(Parse({"help"})->said, Said::kHelp);
  EXPECT_TRUE(Parse({"drain", "--help"})->help);
  EXPECT_TRUE(Parse({"rebalance", "app", "--dry-run"})->dry_run);
}

TEST(CommandLine, AValueMayFollowAnEqualsSign) {
  const auto parsed =
      Parse({"drain", "app", "a:80", "--deadline=30m", "--move=5/s", "--socket=/run/a.sock"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->deadline->time, std::chrono::minutes(30));
  EXPECT_EQ(parsed->move, 5);
  EXPECT_EQ(parsed->socket, "/run/a.sock");
  EXPECT_EQ(parsed->words.size(), 3u);
  EXPECT_EQ(Parse({"drain", "app", "a:80", "--deadline=1x"}).error().message,
            "invalid time \"1x\": it is 90s, 30m or 1h30m, or 30m,keep");
}

TEST(CommandLine, OnlyWhatReadsIsAskedAgainAndAgain) {
  EXPECT_EQ(Parse({"servers", "-w", "2"})->watch_s, 2);
  EXPECT_EQ(Parse({"forget", "zone", "-w"})->words.back(), "-w") << "a key of a session";
  for (const char* seconds : {"0", "-1", "2s", "86401", ""}) {
    const auto parsed = Parse({"servers", "-w", seconds});
    ASSERT_FALSE(parsed) << seconds;
    EXPECT_EQ(parsed.error().message, "option \"-w\" requires seconds, 1 to 86400");
  }
}

TEST(CommandLine, AnswersAnUnknownWordWithANearOne) {
  const std::pair<const char*, const char*> rows[] = {
      {"sesions", "unknown command \"sesions\" (did you mean \"sessions\"?)"},
      {"upgrad", "unknown command \"upgrad\" (did you mean \"upgrade\"?)"},
      {"fly", "unknown command \"fly\": \"limpet -h\" lists them"}};
  for (const auto& [word, message] : rows) EXPECT_EQ(Parse({word}).error().message, message);
}

TEST(BuildText, NamesAVersionThatTestSuitesUnderstandAndOnlyWhatIsBuilt) {
  EXPECT_THAT(BuildText(true),
              ::testing::ContainsRegex("nginx version: nginx/[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(BuildText(true), HasSubstr("--with-http_stub_status_module"));
  EXPECT_THAT(BuildText(true), Not(HasSubstr("--with-stream")));
  EXPECT_THAT(BuildText(false), HasSubstr("limpet version: limpet/"));
  EXPECT_THAT(BuildText(false), Not(HasSubstr("nginx/")));
}

}  // namespace
}  // namespace limpet::master
