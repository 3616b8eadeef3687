#include "base/own_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace limpet {
namespace {

using testing::HasSubstr;

class OwnFileTest : public ::testing::Test {
 protected:
  OwnFileTest() : folder_(::testing::TempDir() + "own-file-" + std::to_string(::getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~OwnFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Make(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  static std::string Text(const std::string& path) {
    std::string text;
    std::getline(std::ifstream(path), text);
    return text;
  }
  static std::string WhyNot(const Result<UniqueFd>& opened) {
    return opened ? "it was opened" : opened.error().message;
  }

  std::string folder_;
};

TEST_F(OwnFileTest, IsARegularFileThatNobodyElseWrites) {
  const std::string path = Make("file", "mine");
  EXPECT_TRUE(OpenOwnFile(path));
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  EXPECT_THAT(WhyNot(OpenOwnFile(path)), HasSubstr("can be written by others"));
  ASSERT_EQ(::symlink(path.c_str(), Path("link").c_str()), 0);
  EXPECT_FALSE(OpenOwnFile(Path("link")));
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(WhyNot(OpenOwnFile(Path("fifo"))), HasSubstr("no regular file")) << "and at once";
  EXPECT_EQ(OpenOwnFile(Path("none")).error().code, std::errc::no_such_file_or_directory);
}

TEST_F(OwnFileTest, OfAnotherUserIsRefused) {
  const std::string path = Make("file", "theirs");
  if (::chown(path.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root gives files away";
  EXPECT_THAT(WhyNot(OpenOwnFile(path)), HasSubstr("belongs to another user"));
}

TEST_F(OwnFileTest, IsReplacedAsAWholeAndWithoutFollowing) {
  const std::string other = Make("other", "untouched");
  ASSERT_EQ(::symlink(other.c_str(), Path("state").c_str()), 0);
  ASSERT_EQ(::symlink(other.c_str(), Path("state.new").c_str()), 0);
  ASSERT_TRUE(ReplaceFile(Path("state"), "new"));
  EXPECT_EQ(Text(other), "untouched");
  EXPECT_EQ(Text(Path("state")), "new");
  struct stat found {};
  ASSERT_EQ(::lstat(Path("state").c_str(), &found), 0);
  EXPECT_TRUE(S_ISREG(found.st_mode));
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(Path("state.new"))));
}

TEST_F(OwnFileTest, IsReplacedWhereWhatIsBesideItCannotBeRemoved) {
  std::filesystem::create_directory(Path("state.new"));
  ASSERT_TRUE(ReplaceFile(Path("state"), "new"));
  EXPECT_EQ(Text(Path("state")), "new");
}

TEST_F(OwnFileTest, AFailureLeavesWhatWasThere) {
  Make("state", "old");
  std::filesystem::create_directories(Path("folder/inside"));
  EXPECT_FALSE(ReplaceFile(Path("folder"), "new"));
  EXPECT_FALSE(std::filesystem::exists(Path("folder.new")));
  EXPECT_FALSE(ReplaceFile(Path("nowhere/state"), "new"));
  EXPECT_EQ(Text(Path("state")), "old");
}

TEST_F(OwnFileTest, OwnLinksAreFollowed) {
  ASSERT_EQ(::symlink("there", Path("one").c_str()), 0);
  ASSERT_EQ(::symlink(Path("one").c_str(), Path("two").c_str()), 0);
  ASSERT_TRUE(OpenThroughOwnLinks(Path("two"), O_WRONLY | O_CREAT | O_APPEND, 0644));
  EXPECT_TRUE(std::filesystem::exists(Path("there")));
  ASSERT_EQ(::symlink("round", Path("round").c_str()), 0);
  EXPECT_FALSE(OpenThroughOwnLinks(Path("round"), O_RDONLY));
  std::filesystem::create_directory(Path("folder"));
  ASSERT_EQ(::symlink("folder", Path("link").c_str()), 0);
  EXPECT_TRUE(OpenThroughOwnLinks(Path("link"), O_RDONLY | O_DIRECTORY));
  EXPECT_FALSE(OpenThroughOwnLinks(Path("there"), O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(OpenThroughOwnLinks("/proc/self/fd/0", O_RDONLY));
}

TEST_F(OwnFileTest, LinksOfOthersAreNot) {
  Make("target", "root's");
  ASSERT_EQ(::symlink("target", Path("link").c_str()), 0);
  if (::lchown(Path("link").c_str(), 65534, 65534) != 0)
    GTEST_SKIP() << "only root gives files away";
  EXPECT_THAT(WhyNot(OpenThroughOwnLinks(Path("link"), O_WRONLY)),
              HasSubstr("it is a link of another user"));
}

TEST_F(OwnFileTest, AFifoThatNobodyReadsIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo(Path("log").c_str(), 0600), 0);
  EXPECT_FALSE(OpenThroughOwnLinks(Path("log"), O_WRONLY | O_APPEND | O_CREAT, 0644));
}

}  // namespace
}  // namespace limpet
