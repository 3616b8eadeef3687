#include "worker/http/proxy/proxy_rewrite.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/conf/support.h"

namespace limpet::worker {
namespace {

// One location with proxy_pass and the given rules; "unchanged" where no rule applies.
class ProxyRewriteTest : public testing::Test {
 protected:
  void Load(const std::string& name, const std::string& directives) {
    config_ = conf::MustLoad(conf::InServer("location " + name + " { " + directives + " }"));
    reader_ = std::make_unique<conf::FakeReader>(config_->http->variables);
  }
  const conf::Location& location() { return conf::FirstLocation(*config_); }
  static std::string Text(std::optional<std::string_view> value) {
    return value ? std::string(*value) : "unchanged";
  }
  std::string Redirect(std::string_view url) {
    return Text(RewriteRedirectUrl(*reader_, location().proxy, ProxyPlan(location()), url));
  }
  std::string Refresh(std::string_view value) {
    return Text(RewriteRefresh(*reader_, location().proxy, ProxyPlan(location()), value));
  }
  std::string Cookie(std::string_view value) {
    return Text(RewriteSetCookie(*reader_, location().proxy, value));
  }

  std::unique_ptr<const conf::Config> config_;
  std::unique_ptr<conf::FakeReader> reader_;
};

TEST_F(ProxyRewriteTest, DefaultFollowsProxyPass) {
  Load("/one/", "proxy_pass http://127.0.0.1:81/two/;");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/two/some"), "/one/some");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/three"), "unchanged");
  Load("/one/", "proxy_pass http://127.0.0.1:81;");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/two/some"), "/two/some");
  EXPECT_EQ(Refresh("5; URL=http://127.0.0.1:81/x"), "5; URL=/x");
  EXPECT_EQ(Refresh("5"), "unchanged");
}

TEST_F(ProxyRewriteTest, RulesTakeTheDefaultsPlace) {
  Load("/one/", "proxy_pass http://127.0.0.1:81; proxy_redirect http://x/ http://$host/;");
  reader_->values = {{"host", "h"}};
  EXPECT_EQ(Redirect("http://x/y"), "http://h/y");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/y"), "unchanged");
  Load("/one/", "proxy_pass http://127.0.0.1:81; proxy_redirect off;");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/y"), "unchanged");
}

TEST_F(ProxyRewriteTest, TheFirstRuleThatFitsHoldsTheDefaultAmongThem) {
  const std::string pass = "proxy_pass http://127.0.0.1:81/two/; ";
  const std::string any = "proxy_redirect ~^http://[^/]+(/.*)$ /any$1; ";
  Load("/one/", pass + "proxy_redirect default; " + any);
  EXPECT_EQ(Redirect("http://127.0.0.1:81/two/x"), "/one/x");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/x"), "/any/x");
  Load("/one/", pass + any + "proxy_redirect default;");
  EXPECT_EQ(Redirect("http://127.0.0.1:81/two/x"), "/any/two/x");
}

TEST_F(ProxyRewriteTest, ARegexReplacesTheWholeValue) {
  Load("/", "proxy_pass http://127.0.0.1:81; proxy_redirect ~^http://[^/]+/(a.*)$ /b/$1;");
  EXPECT_EQ(Redirect("http://any/abc"), "/b/abc");
  EXPECT_EQ(Redirect("http://any/xabc"), "unchanged");
}

TEST_F(ProxyRewriteTest, CookieDomainIsComparedWholeAndKeepsItsDot) {
  Load("/", "proxy_pass http://127.0.0.1:81; proxy_cookie_domain localhost example.org;");
  EXPECT_EQ(Cookie("v=1; Domain=LocalHost"), "v=1; Domain=example.org");
  EXPECT_EQ(Cookie("v=1; Domain=.localhost; Path=/"), "v=1; Domain=.example.org; Path=/");
  EXPECT_EQ(Cookie("v=1; Domain=my.localhost"), "unchanged");
  EXPECT_EQ(Cookie("domain=localhost"), "unchanged") << "that is the cookie itself";
}

TEST_F(ProxyRewriteTest, CookiePathIsReplacedFromItsBeginning) {
  Load("/",
       "proxy_pass http://127.0.0.1:81; proxy_cookie_path /$arg_a/ /new/; "
       "proxy_cookie_path ~*^/(re)/.* /got-$1/;");
  reader_->values = {{"arg_a", "one"}};
  EXPECT_EQ(Cookie("v=1; path=/one/two; Secure"), "v=1; path=/new/two; Secure");
  EXPECT_EQ(Cookie("v=1; path=/RE/x"), "v=1; path=/got-RE/");
  EXPECT_EQ(Cookie("v=1; path=/other"), "unchanged");
}

TEST_F(ProxyRewriteTest, FlagsAreAddedRemovedAndChanged) {
  Load("/",
       "proxy_pass http://127.0.0.1:81; proxy_cookie_flags a secure httponly samesite=strict; "
       "proxy_cookie_flags b nosecure nohttponly nosamesite; proxy_cookie_flags ~^c samesite=lax;");
  EXPECT_EQ(Cookie("a=1; path=/"), "a=1; path=/; Secure; HttpOnly; SameSite=Strict");
  EXPECT_EQ(Cookie("A=1; secure; HttpOnly; samesite=strict"),
            "A=1; secure; HttpOnly; samesite=strict")
      << "what is there stays as it is written";
  EXPECT_EQ(Cookie("b=1; Secure; HttpOnly; SameSite=Lax; path=/"), "b=1; path=/");
  EXPECT_EQ(Cookie("c1=1; SameSite=None"), "c1=1; SameSite=Lax");
  EXPECT_EQ(Cookie("d=1"), "unchanged");
  EXPECT_EQ(Cookie("no cookie"), "unchanged");
}

}  // namespace
}  // namespace limpet::worker
