// Which location a URI leads to: nginx's rules, one row each.
#include "worker/http/route/locations.h"

#include "tests/conf/support.h"

namespace limpet::worker {
namespace {

constexpr char kLocations[] = R"(
  location / { }
  location /images { }
  location /images/big { }
  location = /images/exact { }
  location ^~ /plain/ { location ~ /inner { } }
  location ~ \.gif$ { }
  location ~* \.jpe?g$ { }
  location ~ "^/images/first" { }
  location ~ first { }
  location /outer/ {
    location /outer/inner/ { }
    location = /outer/exact.gif { }
    location ^~ /outer/quiet/ { }
    location ~ \.gif$ { location ~ /both { } }
  }
  location /app/ { proxy_pass http://127.0.0.1:8081; }
  location /both/ { proxy_pass http://127.0.0.1:8081; }
  location = /both { }
  location @named { }
)";

struct Row {
  std::string_view uri;
  std::string_view location;  // as written, without its modifier
  std::string_view why;
};

constexpr Row kRows[] = {
    {"/", "/", "a prefix"},
    {"/other", "/", "the longest prefix, and it is short"},
    {"/images", "/images", "the URI is all of the prefix"},
    {"/images2", "/images", "a prefix ends anywhere"},
    {"/images/biggest", "/images/big", "the longest prefix"},
    {"/images/bi", "/images", "a longer one that differs at its end"},
    {"/imagf", "/", "it sorts behind a longer one that it does not begin with"},
    {"/Images", "/", "letters count"},
    {"/images/exact", "/images/exact", "an exact match"},
    {"/images/exact/", "/images", "all but exact"},
    {"/images/a.gif", "\\.gif$", "regular expressions come before prefixes"},
    {"/images/a.GIF", "/images", "with their case"},
    {"/images/a.JPEG", "\\.jpe?g$", "or without"},
    {"/images/first.gif", "\\.gif$", "the first one written"},
    {"/images/first", "^/images/first", "not the longest"},
    {"/plain/a.gif", "/plain/", "^~ forbids regular expressions"},
    {"/plain/inner", "/inner", "but not those inside"},
    {"/outer/a", "/outer/", "nothing inside matches"},
    {"/outer/inner/a", "/outer/inner/", "the longest prefix inside"},
    {"/outer/exact.gif", "/outer/exact.gif", "an exact match inside ends the search"},
    {"/outer/inner/a.gif", "\\.gif$", "the inner regular expression, of the outer location"},
    {"/outer/inner/both.gif", "/both", "a regular expression inside another"},
    {"/outer/quiet/a.gif", "\\.gif$",
     "^~ inside speaks for its own level: the outer ones are tried"},
    {"/outer/quiet/a.jpg", "\\.jpe?g$", "likewise"},
    {"/outer/a.jpg", "\\.jpe?g$", "the outer regular expressions, if no inner one matches"},
    {"/app", "/app/ redirect", "a proxied prefix redirects the URI without its slash"},
    {"/app/", "/app/", "but not the one with it"},
    {"/both", "/both", "nor one with a location of its own"},
    {"@named", "none", "a named location has no URI"},
};

std::string Found(const conf::Config& config, std::string_view uri) {
  conf::FakeReader reader(config.http->variables);
  const LocationMatch match = FindLocation(*config.http->servers[0]->root, uri, reader);
  if (match.location == nullptr) return "none";
  return match.location->name + (match.auto_redirect ? " redirect" : "");
}

TEST(Locations, AreFoundAsTheTableSays) {
  const auto config = conf::MustLoad(conf::InServer(kLocations));
  for (const Row& row : kRows) {
    EXPECT_EQ(Found(*config, row.uri), row.location) << row.uri << ": " << row.why;
  }
}

TEST(Locations, AreNotFoundWhereNoneMatches) {
  const auto config = conf::MustLoad(conf::InServer("location /a { } location ~ b { }"));
  EXPECT_EQ(Found(*config, "/"), "none");
  EXPECT_EQ(Found(*config, "/ab"), "b");
}

TEST(Locations, TellWhetherARegularExpressionLedThere) {
  const auto config = conf::MustLoad(
      conf::InServer("location / { } location ~ /x { location /x/in { } } location /y { }"));
  conf::FakeReader reader(config->http->variables);
  const conf::Location& root = *config->http->servers[0]->root;
  EXPECT_FALSE(FindLocation(root, "/y", reader).by_regex);
  EXPECT_TRUE(FindLocation(root, "/x", reader).by_regex);
  EXPECT_TRUE(FindLocation(root, "/x/in", reader).by_regex) << "one around it";
}

// $1 is the innermost one's; names are kept of all.
TEST(Locations, GiveTheGroupsOfWhatMatched) {
  const auto config = conf::MustLoad(conf::InServer(
      "location ~ ^/(?<user>[^/]+)/ { location ~ /(?<page>[a-z]+)$ { return 200 $user$page; } }"));
  conf::FakeReader reader(config->http->variables);
  FindLocation(*config->http->servers[0]->root, "/ann/home", reader);
  EXPECT_EQ(reader.captures().Group(1), "home");
  EXPECT_EQ(reader.values["user"], "ann");
  EXPECT_EQ(reader.values["page"], "home");
}

TEST(Locations, AreNotFoundIfARegularExpressionGivesUp) {
  const auto config =
      conf::MustLoad(conf::InServer("location / { } location ~ ^/(a+)+$ { } location ~ a { }"));
  conf::FakeReader reader(config->http->variables);
  const std::string costly = "/" + std::string(40, 'a') + "b";
  EXPECT_EQ(FindLocation(*config->http->servers[0]->root, costly, reader).location, nullptr);
  EXPECT_TRUE(reader.match_failed());
}

}  // namespace
}  // namespace limpet::worker
