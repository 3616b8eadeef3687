// Lines of access logs, and the files they go to.
#include "worker/http/log/access_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace limpet::worker {
namespace {

namespace fs = std::filesystem;
using conf::Value;

class FakeReader final : public conf::VariableReader {
 public:
  Value Get(conf::VariableId id) override { return values[id]; }
  conf::Captures& captures() override { return captures_; }
  void SetNamed(conf::VariableId, Value) override {}
  char* Allocate(size_t size) override { return (memory_ += std::string(size, ' ')).data(); }
  std::map<conf::VariableId, Value> values;

 private:
  conf::Captures captures_;
  std::string memory_;
};

std::string LineOf(conf::LogEscape escape, Value value) {
  conf::VariableTable variables;
  conf::LogFormat format;
  format.escape = escape;
  format.parts.push_back(conf::Template::Literal("\"uri\" "));
  format.parts.push_back(*conf::Template::Compile("$uri", variables, "t:1"));
  FakeReader reader;
  reader.values[format.parts[1].single_variable()] = value;
  std::string line;
  FormatLogLine(reader, format, &line);
  return line;
}

TEST(LogLine, EscapesValuesButNotTheFormat) {
  const Value odd = Value::Of("a\"\x1b\xff\\");
  EXPECT_EQ(LineOf(conf::LogEscape::kDefault, odd), "\"uri\" a\\x22\\x1B\\xFF\\x5C");
  EXPECT_EQ(LineOf(conf::LogEscape::kJson, Value::Of("a\"\x1b\n")), "\"uri\" a\\\"\\u001B\\n");
  EXPECT_EQ(LineOf(conf::LogEscape::kNone, odd), "\"uri\" a\"\x1b\xff\\");
}

TEST(LogLine, ShowsADashForWhatThereIsNot) {
  EXPECT_EQ(LineOf(conf::LogEscape::kDefault, Value::None()), "\"uri\" -");
  EXPECT_EQ(LineOf(conf::LogEscape::kDefault, Value::Of("")), "\"uri\" ");
  EXPECT_EQ(LineOf(conf::LogEscape::kJson, Value::None()), "\"uri\" ");
  EXPECT_EQ(LineOf(conf::LogEscape::kNone, Value::None()), "\"uri\" ");
}

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() {
    std::string name = (fs::temp_directory_path() / "limpet-log-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~LogFileTest() override { fs::remove_all(folder_); }
  std::string Path(const char* name) const { return folder_ / name; }
  std::string Content(const char* name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  fs::path folder_;
  Loop loop_;
  Log log_;
};

TEST_F(LogFileTest, WithoutABufferEachLineIsWrittenAtOnce) {
  LogFile file(Path("a"), loop_, log_);
  ASSERT_TRUE(file.Open());
  file.Write("one\n", {});
  EXPECT_EQ(Content("a"), "one\n");
}

TEST_F(LogFileTest, ABufferIsWrittenWhenTheNextLineDoesNotFit) {
  LogFile file(Path("a"), loop_, log_);
  ASSERT_TRUE(file.Open());
  const LogFile::Buffering ten{.size = 10};
  file.Write("12345\n", ten);
  EXPECT_EQ(Content("a"), "");
  file.Write("67890\n", ten);
  EXPECT_EQ(Content("a"), "12345\n");
  file.Write("longer than the buffer\n", ten);
  EXPECT_EQ(Content("a"), "12345\n67890\nlonger than the buffer\n");
}

TEST_F(LogFileTest, FlushTimeAndDestructionWriteTheRest) {
  {
    LogFile file(Path("a"), loop_, log_);
    ASSERT_TRUE(file.Open());
    file.Write("timed\n", {.size = 1000, .flush_ms = 1});
    while (Content("a").empty()) loop_.RunOnce();
    EXPECT_EQ(Content("a"), "timed\n");
    file.Write("rest\n", {.size = 1000});
  }
  EXPECT_EQ(Content("a"), "timed\nrest\n");
}

TEST_F(LogFileTest, GzipWritesWholeMembers) {
  {
    LogFile file(Path("a.gz"), loop_, log_);
    ASSERT_TRUE(file.Open());
    file.Write("one\n", {.size = 100, .gzip_level = 1});
    file.Flush();
    file.Write("two\n", {.size = 100, .gzip_level = 9});
  }
  const gzFile gz = ::gzopen(Path("a.gz").c_str(), "rb");
  ASSERT_NE(gz, nullptr);
  char text[100];
  const int n = ::gzread(gz, text, sizeof text);
  ::gzclose(gz);
  EXPECT_EQ(std::string(text, static_cast<size_t>(std::max(n, 0))), "one\ntwo\n");
}

TEST_F(LogFileTest, OpenAgainFollowsARotation) {
  LogFile file(Path("a"), loop_, log_);
  ASSERT_TRUE(file.Open());
  file.Write("old\n", {});
  fs::rename(Path("a"), Path("a.1"));
  file.Write("still old\n", {});
  ASSERT_TRUE(file.Open());
  file.Write("new\n", {});
  EXPECT_EQ(Content("a.1"), "old\nstill old\n");
  EXPECT_EQ(Content("a"), "new\n");
}

class LogFileCacheTest : public LogFileTest {
 protected:
  LogFileCache::Failure Write(const char* name, const conf::OpenLogFileCache& settings,
                              uint64_t now = 1000) {
    return cache_.Write(Path(name), "x", settings, now);
  }
  // With its folder gone, only a descriptor that is held can be written to.
  size_t LinesAfterMove(const char* name, const conf::OpenLogFileCache& settings,
                        uint64_t now = 1000) {
    const fs::path away = folder_.string() + ".away";
    fs::rename(folder_, away);
    Write(name, settings, now);
    fs::rename(away, folder_);
    return Content(name).size();
  }
  LogFileCache cache_;
};

TEST_F(LogFileCacheTest, IsOffByDefault) {
  const conf::OpenLogFileCache off;
  EXPECT_EQ(Write("a", off).open, 0);
  EXPECT_EQ(Write("a", off).open, 0);
  EXPECT_EQ(LinesAfterMove("a", off), 2u);
}

TEST_F(LogFileCacheTest, TellsOfAFullDisk) {
  fs::create_symlink("/dev/full", Path("a"));
  const conf::OpenLogFileCache settings{.max = 3};
  EXPECT_EQ(Write("a", {}).write, ENOSPC);
  EXPECT_EQ(Write("a", settings).write, ENOSPC);
  EXPECT_EQ(Write("a", settings).write, ENOSPC) << "the file is held";
}

TEST(WriteComplaints, AreMadeOnceAMinute) {
  WriteComplaints complaints;
  EXPECT_TRUE(complaints.Wants(1000));
  EXPECT_FALSE(complaints.Wants(1001));
  EXPECT_FALSE(complaints.Wants(60'999));
  EXPECT_TRUE(complaints.Wants(61'000));
}

TEST_F(LogFileCacheTest, KeepsWhatIsUsedOftenEnough) {
  const conf::OpenLogFileCache settings{.max = 3, .min_uses = 2};
  Write("a", settings);
  EXPECT_EQ(LinesAfterMove("a", settings), 1u) << "one use so far";
  Write("a", settings);
  EXPECT_EQ(LinesAfterMove("a", settings), 3u);
}

TEST_F(LogFileCacheTest, GivesUpTheLeastRecentlyUsedAndTheInactive) {
  const conf::OpenLogFileCache settings{.max = 2};
  Write("a", settings);
  Write("b", settings);
  Write("a", settings);
  Write("c", settings);  // b goes
  EXPECT_EQ(LinesAfterMove("b", settings), 1u);
  EXPECT_EQ(LinesAfterMove("a", settings), 3u);
  EXPECT_EQ(LinesAfterMove("a", settings, 1000 + 10'001), 3u) << "inactive for more than 10 s";
}

TEST_F(LogFileCacheTest, AsksAgainWhetherThePathIsStillTheFile) {
  const conf::OpenLogFileCache settings{.max = 2, .valid = conf::Ms(100)};
  Write("a", settings);
  fs::rename(Path("a"), Path("a.1"));
  Write("a", settings, 1050);
  EXPECT_EQ(Content("a.1"), "xx");
  Write("a", settings, 1200);
  EXPECT_EQ(Content("a"), "x");
}

}  // namespace
}  // namespace limpet::worker
