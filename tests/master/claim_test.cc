#include "master/claim.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace limpet::master {
namespace {

class ClaimTest : public testing::Test {
 protected:
  ~ClaimTest() override { ::unlink(path_.c_str()); }

  bool Hold(Claim& claim, const std::string& path) { return claim.Hold(path, "it", "go", log_); }
  // To the kernel's locks a child is another process.
  bool AnotherHolds(const std::string& path) {
    const pid_t child = ::fork();
    if (child == 0) {
      Claim claim;
      ::_exit(Hold(claim, path) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0;
  }
  bool IsThere() const { return ::access(path_.c_str(), F_OK) == 0; }

  const std::string path_ =
      ::testing::TempDir() + "limpet-claim-" + std::to_string(::getpid()) + ".lock";
  const Log log_;
};

TEST_F(ClaimTest, IsOneProcesssUntilItIsReleased) {
  Claim claim;
  EXPECT_TRUE(Hold(claim, path_));
  EXPECT_TRUE(Hold(claim, path_)) << "still";
  EXPECT_FALSE(AnotherHolds(path_));
  EXPECT_TRUE(Hold(claim, path_));
  claim.Release();
  EXPECT_FALSE(IsThere());
  EXPECT_TRUE(AnotherHolds(path_));
}

TEST_F(ClaimTest, GoesWithItsHolder) {
  const pid_t child = ::fork();
  if (child == 0) {
    Claim claim;
    if (!Hold(claim, path_)) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(IsThere());
  Claim claim;
  EXPECT_TRUE(Hold(claim, path_));
  EXPECT_FALSE(AnotherHolds(path_));
}

TEST_F(ClaimTest, AChildOfItsHolderTakesNothingAway) {
  Claim claim;
  ASSERT_TRUE(Hold(claim, path_));
  const pid_t child = ::fork();
  if (child == 0) {
    claim.Release();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(IsThere());
  EXPECT_FALSE(AnotherHolds(path_));
}

TEST_F(ClaimTest, IsHeldAnewWhereItsFileWasRemoved) {
  Claim claim;
  ASSERT_TRUE(Hold(claim, path_));
  ::unlink(path_.c_str());
  EXPECT_TRUE(Hold(claim, path_));
  EXPECT_FALSE(AnotherHolds(path_));
}

TEST_F(ClaimTest, MovesToAnotherPath) {
  Claim claim;
  ASSERT_TRUE(Hold(claim, path_));
  EXPECT_TRUE(Hold(claim, path_ + "2"));
  EXPECT_TRUE(AnotherHolds(path_));
  EXPECT_FALSE(AnotherHolds(path_ + "2"));
}

TEST_F(ClaimTest, OfAFolderThatIsNotThereIsAnybodys) {
  Claim claim;
  EXPECT_TRUE(Hold(claim, "/nowhere/at/all.lock"));
}

}  // namespace
}  // namespace limpet::master
