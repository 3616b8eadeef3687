#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Jwt : public testing::Test {
 protected:
  Jwt() : folder_(testing::TempDir() + "limpet_keys_XXXXXX") {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    std::ofstream(file()) << "a secret\n";
    EXPECT_EQ(::chmod(file().c_str(), 0600), 0);
  }
  ~Jwt() override { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ + "/keys"; }

  std::string folder_;
};

TEST_F(Jwt, KeepsWhatIsWritten) {
  const auto config = MustLoad(
      InHttp("jwt_claim $sub $http_authorization sub key_file=" + file() +
             " required; jwt_claim $role $cookie_t realm.roles.0; jwt_claim $mail $http_a mail "
             "key_file=" +
             file() + ";"));
  const Tokens& tokens = config->http->tokens;
  ASSERT_EQ(tokens.keys.size(), 1u) << "each file once";
  EXPECT_EQ(tokens.keys[0].bytes, "a secret");
  ASSERT_EQ(tokens.claims.size(), 3u);
  EXPECT_EQ(tokens.claims[0].keys, 0);
  EXPECT_TRUE(tokens.claims[0].required);
  EXPECT_EQ(tokens.claims[0].token.source(), "$http_authorization");
  EXPECT_EQ(tokens.claims[1].keys, -1);
  EXPECT_THAT(tokens.claims[1].path, ElementsAre("realm", "roles", "0"));
  EXPECT_EQ(tokens.claims[2].keys, 0);
  EXPECT_FALSE(tokens.claims[2].required);
}

TEST_F(Jwt, RefusesWhatIsWrong) {
  EXPECT_THAT(LoadError(InHttp("jwt_claim $a constant sub;")),
              HasSubstr("a token is in a variable"));
  EXPECT_THAT(LoadError(InHttp("jwt_claim $a $http_b .sub;")),
              HasSubstr("invalid parameter \".sub\""));
  EXPECT_THAT(LoadError(InHttp("jwt_claim $a $http_b sub need;")),
              HasSubstr("invalid parameter \"need\""));
  EXPECT_THAT(LoadError(InHttp("jwt_claim $a $http_b sub key_file=/none/x;")),
              HasSubstr("open() \"/none/x\" failed (2: No such file or directory) in t.conf:1"));
}

// It holds a secret as any other does.
TEST_F(Jwt, WarnsOfAFileThatEverybodyReads) {
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  const auto config = MustLoad(InHttp("jwt_claim $a $http_b sub key_file=" + file() + ";"));
  ASSERT_EQ(config->warnings.size(), 1u);
  EXPECT_THAT(config->warnings[0], HasSubstr("everybody may read"));
}

}  // namespace
}  // namespace limpet::conf
