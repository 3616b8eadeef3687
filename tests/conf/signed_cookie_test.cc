// sign= and ttl= of `sticky cookie`.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kKey = "0123456789abcdef";

class SignedCookieTest : public testing::Test {
 protected:
  SignedCookieTest() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/key";
  }
  ~SignedCookieTest() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }

  static std::string InUpstream(const std::string& text) {
    return InHttp("upstream u { server 127.0.0.1:1; " + text + " }");
  }
  std::string With(const std::string& bytes, const std::string& more = "", mode_t mode = 0600) {
    std::ofstream(path_) << bytes;
    EXPECT_EQ(::chmod(path_.c_str(), mode), 0);
    return InUpstream("sticky cookie id sign=" + path_ + " " + more + ";");
  }
  static const StickyCookie& CookieOf(const Config& config) {
    return config.http->upstreams[0]->sticky.cookie;
  }

  std::string folder_ = testing::TempDir() + "limpet_sign_XXXXXX", path_;
};

TEST_F(SignedCookieTest, HasKeysAndATime) {
  const auto one = MustLoad(With(kKey));
  EXPECT_EQ(CookieOf(*one).keys.size(), 1u);
  EXPECT_EQ(CookieOf(*one).ttl, 8h);
  EXPECT_THAT(one->warnings, IsEmpty());
  const auto two = MustLoad(With(kKey + "\r\n" + kKey + "2\n", "ttl=30m path=/ secure"));
  ASSERT_EQ(CookieOf(*two).keys.size(), 2u);
  EXPECT_EQ(CookieOf(*two).keys[0], CookieOf(*one).keys[0]) << "a line end is no part of it";
  EXPECT_NE(CookieOf(*two).keys[1], CookieOf(*one).keys[0]);
  EXPECT_EQ(CookieOf(*two).ttl, 30min);
  EXPECT_TRUE(CookieOf(*two).secure);
}

TEST_F(SignedCookieTest, RefusesFilesThatHoldNoKeys) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "shorter than 16 characters"},
      {"0123456789abcde", "shorter than 16 characters"},
      {kKey + "\n\n", "shorter than 16 characters"},
      {kKey + "\n" + kKey + "2\n" + kKey + "3\n", "holds more than 2 keys, one a line"},
      {std::string("0123456789abcde\0f", 17), "not printable characters"},
      {"0123456789 abcdef", "not printable characters"},
      {std::string(32, '\xff'), "\"openssl rand -base64 32\""},
  };
  for (const auto& [bytes, why] : rows) {
    const std::string error = LoadError(With(bytes));
    EXPECT_THAT(error, HasSubstr("\"" + path_ + "\"")) << bytes;
    EXPECT_THAT(error, HasSubstr(why)) << bytes;
    EXPECT_THAT(error, HasSubstr("t.conf:1")) << bytes;
    if (bytes.size() > 5) {
      EXPECT_THAT(error, Not(HasSubstr(bytes.substr(0, 6)))) << "a secret";
    }
  }
  EXPECT_THAT(LoadError(InUpstream("sticky cookie id sign=/nowhere/key;")),
              HasSubstr("open() \"/nowhere/key\" failed"));
  EXPECT_THAT(LoadError(InUpstream("sticky cookie id sign=/;")), HasSubstr("no regular file"));
}

TEST_F(SignedCookieTest, WarnsOfWhatOthersMayReadAndOfOneKeyTwice) {
  EXPECT_THAT(MustLoad(With(kKey, "", 0644))->warnings,
              ElementsAre(HasSubstr("everybody may read \"" + path_ + "\"")));
  EXPECT_THAT(MustLoad(With(kKey + "\n" + kKey))->warnings,
              ElementsAre(HasSubstr("\"" + path_ + "\" holds the key twice")));
}

TEST_F(SignedCookieTest, RefusesParametersThatDoNotFit) {
  for (const char* ttl : {"ttl=", "ttl=0", "ttl=soon", "ttl=500ms", "ttl=3651d"})
    EXPECT_THAT(LoadError(With(kKey, ttl)), HasSubstr("it is a time of 1s to 3650d")) << ttl;
  EXPECT_THAT(LoadError(InUpstream("sticky cookie id sign=;")), HasSubstr("no value for \"sign\""));
  EXPECT_THAT(LoadError(InUpstream("sticky cookie id sign;")),
              HasSubstr("unknown parameter \"sign\""));
  EXPECT_THAT(LoadError(InUpstream("sticky cookie id ttl=1h;")),
              HasSubstr("\"ttl\" requires \"sign\""));
  EXPECT_THAT(LoadError(With(kKey, "sign=" + path_)), HasSubstr("\"sign\" is duplicate"));
  for (const bool secret_first : {true, false}) {
    std::ofstream(path_) << kKey;
    const std::string cookie = "sticky cookie id sign=" + path_ + "; ", secret = "sticky_secret s;";
    EXPECT_THAT(LoadError(InUpstream(secret_first ? secret + cookie : cookie + secret)),
                HasSubstr("\"sticky_secret\" has no place beside \"sign\""));
  }
}

}  // namespace
}  // namespace limpet::conf
