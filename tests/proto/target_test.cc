#include "proto/target.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

// What ParseTarget makes of a GET target: its $uri, or "400".
std::string Uri(std::string_view target, bool merge_slashes = true) {
  std::string storage;
  Target out;
  if (!ParseTarget(target, Method::kGet, merge_slashes, &storage, &out)) return "400";
  return std::string(out.uri);
}

TEST(Target, NormalisesPaths) {
  const struct {
    const char* target;
    const char* uri;
  } cases[] = {
      {"/", "/"},
      {"/a/b.html", "/a/b.html"},
      {"/a%20b", "/a b"},
      {"/%C3%a9", "/\xC3\xA9"},
      {"/caf\xC3\xA9", "/caf\xC3\xA9"},
      {"/a+b", "/a+b"},
      // slashes
      {"//", "/"},
      {"/a//b", "/a/b"},
      {"/a///b//", "/a/b/"},
      {"/a%2Fb", "/a/b"},
      {"/a/%2Fb", "/a/b"},
      {"/%2f%2f", "/"},
      // dot segments
      {"/.", "/"},
      {"/./", "/"},
      {"/a/.", "/a/"},
      {"/a/./b", "/a/b"},
      {"/a/..", "/"},
      {"/a/../", "/"},
      {"/a/../b", "/b"},
      {"/a/b/../../c", "/c"},
      {"/a/b/..", "/a/"},
      {"/a//../b", "/b"},
      {"/a/.../b", "/a/.../b"},
      {"/a/..b", "/a/..b"},
      {"/a/.b", "/a/.b"},
      {"/a./b", "/a./b"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/a%2f..%2fb", "/b"},
      {"/a%2f.%2fb", "/a/b"},
      // bytes that mean something only when they are not encoded
      {"/a%3Fb", "/a?b"},
      {"/a%23b", "/a#b"},
      {"/a%25b", "/a%b"},
      {"/a%2541", "/a%41"},
      // what follows the path
      {"/a/..?b", "/"},
      {"/a/.?b", "/a/"},
      {"/a#b", "/a"},
      {"/a/..#b", "/"},
      {"/%61?%62", "/a"},
      // refused
      {"/..", "400"},
      {"/../", "400"},
      {"/a/../../b", "400"},
      {"/%2e%2e/", "400"},
      {"/..?a", "400"},
      {"/%00", "400"},
      {"/%", "400"},
      {"/%4", "400"},
      {"/%4g", "400"},
      {"/%g4", "400"},
      {"/a%?b", "400"},
      {"a", "400"},
      {"*", "400"},
      {"", "400"},
  };
  for (const auto& c : cases) EXPECT_EQ(Uri(c.target), c.uri) << c.target;
}

TEST(Target, KeepsSlashesWhenToldTo) {
  EXPECT_EQ(Uri("/foo//../bar", false), "/foo/bar");
  EXPECT_EQ(Uri("/foo///../bar", false), "/foo//bar");
  EXPECT_EQ(Uri("//a", false), "//a");
  EXPECT_EQ(Uri("/a/.//b", false), "/a//b");
  EXPECT_EQ(Uri("/../a", false), "400");
}

TEST(Target, SplitsArguments) {
  const struct {
    const char* target;
    bool has_args;
    const char* args;
  } cases[] = {
      {"/a", false, ""},         {"/a?", true, ""},       {"/a?b=c", true, "b=c"},
      {"/a?b?c", true, "b?c"},   {"/a?b#c", true, "b"},   {"/a#b?c", false, ""},
      {"/%61?%62", true, "%62"}, {"/a/../?b", true, "b"}, {"/a?//../", true, "//../"},
      {"/a%3Fb?c", true, "c"},
  };
  for (const auto& c : cases) {
    std::string storage;
    Target out;
    ASSERT_TRUE(ParseTarget(c.target, Method::kGet, true, &storage, &out)) << c.target;
    EXPECT_EQ(out.has_args, c.has_args) << c.target;
    EXPECT_EQ(out.args, c.args) << c.target;
    EXPECT_EQ(out.unparsed, c.target);
  }
}

TEST(Target, NormalPathsAreViewsOfTheTarget) {
  const std::string text = "/plain/path.html?a=1";
  std::string storage = "untouched";
  Target out;
  ASSERT_TRUE(ParseTarget(text, Method::kGet, true, &storage, &out));
  EXPECT_EQ(out.uri.data(), text.data());
  EXPECT_EQ(storage, "untouched");
  EXPECT_FALSE(out.escaped);
  ASSERT_TRUE(ParseTarget("/a%20b", Method::kGet, true, &storage, &out));
  EXPECT_TRUE(out.escaped);
}

TEST(Target, ReadsAbsoluteForm) {
  std::string storage;
  Target out;
  ASSERT_TRUE(ParseTarget("http://Example.com:81/a%2fb?c", Method::kGet, true, &storage, &out));
  EXPECT_EQ(out.form, TargetForm::kAbsolute);
  EXPECT_EQ(out.scheme, "http");
  EXPECT_EQ(out.authority, "Example.com:81");
  EXPECT_EQ(out.unparsed, "/a%2fb?c");
  EXPECT_EQ(out.uri, "/a/b");
  EXPECT_EQ(out.args, "c");

  ASSERT_TRUE(ParseTarget("http://h", Method::kGet, true, &storage, &out));
  EXPECT_EQ(out.unparsed, "/");
  EXPECT_EQ(out.uri, "/");
  EXPECT_TRUE(out.forwardable);

  ASSERT_TRUE(ParseTarget("http://h?a=1", Method::kGet, true, &storage, &out));
  EXPECT_EQ(out.uri, "/");
  EXPECT_EQ(out.args, "a=1");
  EXPECT_FALSE(out.forwardable);

  for (const char* bad :
       {"http:///a", "http://", "http:/a", "http://h#f", "http://u@h/", "http://h:70000/",
        "1http://h/", "http://[::1/", "ht_tp://h/", "host:80"}) {
    EXPECT_EQ(Uri(bad), "400") << bad;
  }
}

TEST(Target, ReadsAuthorityAndAsteriskOnlyWithTheirMethods) {
  std::string storage;
  Target out;
  ASSERT_TRUE(ParseTarget("h:443", Method::kConnect, true, &storage, &out));
  EXPECT_EQ(out.form, TargetForm::kAuthority);
  EXPECT_EQ(out.authority, "h:443");
  EXPECT_FALSE(ParseTarget("h", Method::kConnect, true, &storage, &out));
  EXPECT_FALSE(ParseTarget("h:443", Method::kGet, true, &storage, &out));
  ASSERT_TRUE(ParseTarget("*", Method::kOptions, true, &storage, &out));
  EXPECT_EQ(out.form, TargetForm::kAsterisk);
}

// The host that ValidateHost takes from a Host header, or "400".
std::string Host(std::string_view text) {
  std::string storage;
  HostAndPort out;
  return ValidateHost(text, &storage, &out) ? std::string(out.host) : "400";
}

TEST(Host, AcceptsNamesAndLiterals) {
  EXPECT_EQ(Host("localhost"), "localhost");
  EXPECT_EQ(Host("WWW.Example.COM:8080"), "www.example.com");
  EXPECT_EQ(Host("example.com."), "example.com");
  EXPECT_EQ(Host("example.com.:88"), "example.com");
  EXPECT_EQ(Host("example.com:"), "example.com");
  EXPECT_EQ(Host("127.0.0.1:80"), "127.0.0.1");
  EXPECT_EQ(Host("[::FFFF:1.2.3.4]:80"), "[::ffff:1.2.3.4]");
  EXPECT_EQ(Host("[v1f.!$&'()*+,;=-._~:]"), "[v1f.!$&'()*+,;=-._~:]");
  EXPECT_EQ(Host("under_score"), "under_score");
}

TEST(UpwardSegments, CountsWholeSegments) {
  const std::pair<const char*, size_t> cases[] = {
      {"", 0},        {"/", 0},      {"/a..b/..c/d..", 0}, {"/...", 0},
      {"/a/./b", 0},  {"..", 1},     {"/..", 1},           {"../a", 1},
      {"/a/../b", 1}, {"/a/..", 1},  {"/../..", 2},        {"/....//../", 1},
      {"/.../", 0},   {"/a/...", 0}, {"..../..", 1},       {"/..a/../", 1}};
  for (const auto& [path, count] : cases) EXPECT_EQ(UpwardSegments(path), count) << path;
}

TEST(Host, RefusesTheRest) {
  for (const char* bad :
       {"",        ".",      ":80",   "a..b", "..a",   "a:1.2", "a:98777", "a:65536",
        "a:80:80", "a/b",    "a\\b",  "a b",  "a\x02", "[::1",  "[::1].",  "[::1]x",
        "x[::1]",  "[a..b]", "[a/b]", "\x80", "a@b",   "a?b"}) {
    EXPECT_EQ(Host(bad), "400") << bad;
  }
}

TEST(Host, ReadsThePort) {
  std::string storage;
  HostAndPort out;
  ASSERT_TRUE(ValidateHost("a:65535", &storage, &out));
  EXPECT_EQ(out.port, 65535);
  ASSERT_TRUE(ValidateHost("a", &storage, &out));
  EXPECT_EQ(out.port, 0);
}

}  // namespace
}  // namespace limpet::proto
