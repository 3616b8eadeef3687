#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::HasSubstr;

const StatusZone& ZoneOf(const Config& config, int index) {
  return config.http->status_zones.at(static_cast<size_t>(index));
}

TEST(StatusZones, AreNamedByServersLocationsLimitsAndResolvers) {
  const auto config =
      MustLoad(InHttp("limit_req_zone $uri zone=r:1m rate=1r/s; limit_conn_zone $uri zone=c:1m;"
                      "resolver 127.0.0.1 status_zone=a;"
                      "server { listen 1 ssl; ssl_reject_handshake on; status_zone a; location / { "
                      "status_zone a; } }"));
  const Server& server = *config->http->servers[0];
  const Location& location = *server.root->children.prefixes.at("/");
  const std::pair<int, StatusZoneKind> zones[] = {
      {server.status_zone.zone, StatusZoneKind::kServer},
      {location.status_zone.zone, StatusZoneKind::kLocation},
      {config->http->limit_req_zones[0].status_zone, StatusZoneKind::kLimitReq},
      {config->http->limit_conn_zones[0].status_zone, StatusZoneKind::kLimitConn},
      {location.resolver->status_zone, StatusZoneKind::kResolver},
  };
  for (const auto& [index, kind] : zones) {
    EXPECT_EQ(ZoneOf(*config, index).kind, kind);
    EXPECT_EQ(ZoneOf(*config, index).tls, kind == StatusZoneKind::kServer);
  }
  EXPECT_EQ(config->http->status_zones.size(), std::size(zones));
}

TEST(StatusZones, OneNameIsOneZoneOfItsKind) {
  const auto config = MustLoad(
      InHttp("server { status_zone a; } server { status_zone a; }"
             "server { status_zone $host zone=b:5; } server { status_zone $uri zone=b; }"));
  const auto& servers = config->http->servers;
  EXPECT_EQ(servers[0]->status_zone.zone, servers[1]->status_zone.zone);
  EXPECT_EQ(servers[2]->status_zone.zone, servers[3]->status_zone.zone);
  EXPECT_EQ(servers[3]->status_zone.key->source(), "$uri");
  EXPECT_FALSE(servers[0]->status_zone.key);
  EXPECT_EQ(ZoneOf(*config, servers[3]->status_zone.zone).values, 5u);
}

TEST(StatusZones, AreInheritedByLocationsUntilOff) {
  const auto config =
      MustLoad(InServer("location /a { status_zone a; if ($arg_x) { break; }"
                        "location /a/b { } location /a/c { status_zone off; } }"));
  const Location& outer = *config->http->servers[0]->root->children.prefixes.at("/a");
  EXPECT_EQ(outer.status_zone.zone, 0);
  EXPECT_EQ(outer.children.prefixes.at("/a/b")->status_zone.zone, 0);
  EXPECT_EQ(outer.children.prefixes.at("/a/c")->status_zone.zone, -1);
  EXPECT_EQ(config->http->servers[0]->root->status_zone.zone, -1);
}

TEST(StatusZones, ErrorsSayWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"status_zone a; status_zone b;", "\"status_zone\" directive is duplicate"},
      {"status_zone $host zone=a;", "nothing says how many values the status zone \"a\" has"},
      {"status_zone $host zone=:5;", "invalid zone name \"\""},
      {"status_zone \"\";", "invalid zone name \"\""},
      {"status_zone $host zone=a:0;", "invalid count of values in \"zone=a:0\""},
      {"status_zone $host zone=a:1k;", "invalid count of values in \"zone=a:1k\""},
      {"status_zone $host zone=a:10001;", "it is 1 to 10000"},
      {"status_zone $host a:5;", "invalid parameter \"a:5\""},
      {"status_zone $nix zone=a:5;", "unknown \"nix\" variable"},
      {"resolver 127.0.0.1 status_zone=;", "a zone has a name"},
  };
  for (const auto& [text, error] : cases)
    EXPECT_THAT(LoadError(InServer(text)), HasSubstr(error)) << text;
  EXPECT_THAT(LoadError(InHttp("server { status_zone a; }\nserver { status_zone $uri zone=a:5; }")),
              HasSubstr("status zone \"a\" has another count of values, by t.conf:1"));
  EXPECT_THAT(LoadError(InHttp("server { status_zone a; }\nserver { status_zone $uri zone=a; }")),
              HasSubstr("nothing says how many values the status zone \"a\" has"));
}

}  // namespace
}  // namespace limpet::conf
