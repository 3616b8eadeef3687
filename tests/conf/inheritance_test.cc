// A block starts from all of its outer block's settings, wherever they stand; lists are replaced as
// a whole.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

TEST(Inheritance, DoesNotDependOnTheOrderOfLines) {
  const auto config =
      MustLoad(InHttp("server { location / { } proxy_read_timeout 5s; } proxy_send_timeout 7s;"));
  EXPECT_EQ(FirstLocation(*config).proxy.read_timeout, 5s);
  EXPECT_EQ(FirstLocation(*config).proxy.send_timeout, 7s);
}

TEST(Inheritance, ListsAreReplacedNotAddedTo) {
  const auto config =
      MustLoad(InHttp("add_header A 1; add_header B 2; server { location /a { add_header C 3; } "
                      "location /b { } }"));
  const auto& locations = config->http->servers[0]->locations;
  ASSERT_EQ(locations[0]->response.add_headers.size(), 1u);
  EXPECT_EQ(locations[0]->response.add_headers[0].name, "C");
  EXPECT_EQ(locations[1]->response.add_headers.size(), 2u);
}

TEST(Inheritance, MergedHeadersStandBehindOnesOwn) {
  const auto config =
      MustLoad(InHttp("add_header A 1; server { location / { add_header B 2; add_header C 3; "
                      "add_header_inherit merge; } }"));
  const auto& headers = FirstLocation(*config).response.add_headers;
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0].name + headers[1].name + headers[2].name, "BCA");
}

TEST(Inheritance, TheKeepAliveHeaderStaysWithoutAnotherOne) {
  const auto config =
      MustLoad(InHttp("keepalive_timeout 9s 5; server { location / { } }"
                      "server { keepalive_timeout 3s; location / { } }"));
  const auto& servers = config->http->servers;
  EXPECT_EQ(servers[1]->root->client.keepalive_timeout, 3s);
  EXPECT_EQ(servers[1]->root->client.keepalive_header_timeout, 5);
}

TEST(Inheritance, ProxyPassReachesIfAndLimitExceptOnly) {
  const auto config =
      MustLoad(InLocation("proxy_pass http://127.0.0.1:1; if ($arg_a) { limit_rate 1k; } "
                          "limit_except GET { deny all; } location /x { }"));
  const Location& outer = FirstLocation(*config);
  EXPECT_TRUE(outer.rewrite[0].location->proxy.pass.set);
  EXPECT_TRUE(outer.limit_except->proxy.pass.set);
  EXPECT_FALSE(outer.children.prefixes.at("/x")->proxy.pass.set);
}

}  // namespace
}  // namespace limpet::conf
