#include "worker/status/caller.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

bool Refused(std::string_view host, bool our_name, bool changes,
             std::initializer_list<std::pair<const char*, const char*>> fields = {},
             uint16_t port = 0) {
  proto::HeaderList headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return !RefuseCaller({.host = host,
                        .port = port,
                        .is_our_name = our_name,
                        .changes = changes,
                        .headers = headers})
              .empty();
}

TEST(Caller, MustKnowWhomItAsks) {
  for (const char* host : {"127.0.0.1", "10.1.2.3", "[::1]", "[fe80::1]", "localhost", ""})
    EXPECT_FALSE(Refused(host, false, false)) << host;
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil", "127.1",
                           "[::1", "::1", "[127.0.0.1]", "2130706433"})
    EXPECT_TRUE(Refused(host, false, false)) << host;
  EXPECT_FALSE(Refused("admin.example", true, false));
}

TEST(Caller, ChangesOnlyFromItsOwnOrigin) {
  const auto change = [](const char* origin) {
    return Refused("localhost", false, true, {{"Origin", origin}}, 8081);
  };
  EXPECT_FALSE(Refused("localhost", false, true, {}, 8081));
  EXPECT_FALSE(change("http://localhost:8081"));
  EXPECT_FALSE(change("https://LOCALHOST:8081"));
  for (const char* origin : {"http://localhost", "http://localhost:80811", "http://evil.example",
                             "null", "", "localhost:8081", "http://evil/http://localhost:8081",
                             "http://evil@localhost:8081", "http://localhost:8081/"})
    EXPECT_TRUE(change(origin)) << origin;
  EXPECT_TRUE(Refused(
      "localhost", false, true,
      {{"Host", "localhost"}, {"Origin", "http://localhost"}, {"Origin", "http://evil.example"}}));
}

// The authority of an absolute target is the request's, whatever Host says.
TEST(Caller, ComparesTheOriginWithWhatIsAsked) {
  EXPECT_TRUE(Refused("localhost", false, true,
                      {{"Host", "evil.example"}, {"Origin", "http://evil.example"}}));
  EXPECT_FALSE(
      Refused("localhost", false, true, {{"Host", "other"}, {"Origin", "http://localhost"}}));
  EXPECT_FALSE(Refused("[::1]", false, true, {{"Origin", "http://[::1]:81"}}, 81));
}

TEST(Caller, NoOtherSiteChangesAnything) {
  EXPECT_TRUE(Refused("localhost", false, true, {{"Sec-Fetch-Site", "cross-site"}}));
  EXPECT_FALSE(Refused("localhost", false, true, {{"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_TRUE(Refused("localhost", false, true,
                      {{"Sec-Fetch-Site", "same-origin"}, {"sec-fetch-site", "cross-site"}}));
  EXPECT_TRUE(Refused("localhost", false, true, {{"Sec-Fetch-Site", "same-origin, Cross-Site"}}));
  EXPECT_FALSE(Refused("localhost", false, false, {{"Sec-Fetch-Site", "cross-site"}}));
}

}  // namespace
}  // namespace limpet::worker
