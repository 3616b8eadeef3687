// What an error of Redis is about: the server that was asked, the moment, or the command.
#include <gtest/gtest.h>

#include "worker/store/store_link.h"

namespace limpet::worker {
namespace {

// As Redis 6 puts it; Redis 7 begins with the cause itself.
std::string FromScript(const std::string& cause) {
  return "ERR Error running script (call to f_6bbf7d6a): @user_script:16: @user_script: 16: -" +
         cause + " ";
}

constexpr const char* kReadOnly = "READONLY You can't write against a read only replica.";
constexpr const char* kNoMemory = "OOM command not allowed when used memory > 'maxmemory'.";
constexpr const char* kCannotSave = "MISCONF Redis is configured to save RDB snapshots, but it's";
constexpr const char* kAlone = "NOREPLICAS Not enough good replicas to write.";
constexpr const char* kNoRight = "NOPERM this user has no permissions to run the 'get' command";

TEST(StoreErrors, OfTheServerAlsoWithinAScript) {
  EXPECT_TRUE(IsOfServer(kReadOnly));
  EXPECT_TRUE(IsOfServer(FromScript(kReadOnly)));
  EXPECT_TRUE(IsOfServer("UNBLOCKED force unblock from blocking operation"));
  EXPECT_TRUE(IsOfServer(FromScript("MASTERDOWN Link with MASTER is down")));
  for (const char* other : {kNoMemory, kNoRight, "ERR unknown command", ""}) {
    EXPECT_FALSE(IsOfServer(other)) << other;
    EXPECT_FALSE(IsOfServer(FromScript(other))) << other;
  }
}

TEST(StoreErrors, OfTheMomentPass) {
  constexpr const char* kHandsOver = "ASK 3999 127.0.0.1:6381";
  for (const char* passing : {kNoMemory, kCannotSave, kAlone, kHandsOver}) {
    EXPECT_TRUE(WillPass(passing)) << passing;
    EXPECT_TRUE(WillPass(FromScript(passing))) << passing;
  }
  for (const char* other : {kReadOnly, kNoRight, "WRONGTYPE Operation against a key", ""}) {
    EXPECT_FALSE(WillPass(other)) << other;
    EXPECT_FALSE(WillPass(FromScript(other))) << other;
  }
}

}  // namespace
}  // namespace limpet::worker
