// The configurations that limpet was made for load as they are written. Names are those of
// /etc/hosts: no DNS here.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

TEST(Examples, HashOfACookie) {
  const auto config = MustLoad(R"(
worker_processes auto;
events { }
http {
    upstream sticky-app {
        hash $cookie_key;
        server localhost:8080;
        server localhost:8081;
    }
    server {
        listen 80;
        location / { proxy_pass http://sticky-app; }
    }
}
)");
  EXPECT_EQ(config->worker_processes, 4);
  ASSERT_EQ(config->http->upstreams.size(), 1u);
  const Upstream& upstream = *config->http->upstreams[0];
  EXPECT_EQ(upstream.method, BalanceMethod::kHash);
  EXPECT_EQ(upstream.hash_key.source(), "$cookie_key");
  EXPECT_EQ(upstream.servers.size(), 2u);
  EXPECT_EQ(upstream.servers[1].addresses[0].port(), 8081);
  EXPECT_EQ(config->http->listens[0].listen.address.ToString(), "0.0.0.0:80");
  const ProxyPass& pass = FirstLocation(*config).proxy.pass;
  EXPECT_TRUE(pass.set);
  EXPECT_EQ(pass.upstream, 0);
  EXPECT_EQ(pass.host_header, "sticky-app");
  EXPECT_FALSE(pass.has_uri);
}

TEST(Examples, IpHashAndConsistentHash) {
  const auto config = MustLoad(InHttp(R"(
    upstream a { ip_hash; server 127.0.0.1:1; server 127.0.0.1:2; }
    upstream b { hash $http_x_forwarded_for; server 127.0.0.1:1; }
    upstream c { hash $http_x_forwarded_for consistent; server 127.0.0.1:1; })"));
  EXPECT_EQ(config->http->upstreams[0]->method, BalanceMethod::kIpHash);
  EXPECT_EQ(config->http->upstreams[1]->method, BalanceMethod::kHash);
  EXPECT_EQ(config->http->upstreams[2]->method, BalanceMethod::kHashConsistent);
}

TEST(Examples, StickyCookieWithBackendsInTheSameFile) {
  const auto config = MustLoad(InHttp(R"(
    server { listen 9001; location / { return 200 "$server_port"; } }
    server { listen 80; location / { proxy_pass http://my_upstream; } }
    upstream my_upstream {
        server 127.0.0.1:9001;
        server 127.0.0.1:9002;
        sticky cookie my_cookie;
    })"));
  const Sticky& sticky = config->http->upstreams[0]->sticky;
  EXPECT_EQ(sticky.kind, StickyKind::kCookie);
  EXPECT_EQ(sticky.cookie.name, "my_cookie");
  FakeReader reader(config->http->variables);
  reader.values["cookie_my_cookie"] = "value";
  EXPECT_EQ(sticky.cookie.lookup.Evaluate(reader), "value");
  EXPECT_EQ(config->http->servers[1]->locations[0]->proxy.pass.upstream, 0);
}

TEST(Examples, StickyRouteByTwoMaps) {
  const auto config = MustLoad(InHttp(R"(
    map $cookie_jsessionid $route_cookie { ~.+\.(?P<route>\w+)$ $route; }
    map $request_uri $route_uri { ~jsessionid=.+\.(?P<route>\w+)$ $route; }
    upstream test_https2 {
        server 127.0.0.1:8082 route=b;
        server 127.0.0.2:8082 route=a;
        sticky route $route_cookie $route_uri;
    })"));
  const Upstream& upstream = *config->http->upstreams[0];
  EXPECT_EQ(upstream.servers[0].route, "b");
  ASSERT_EQ(upstream.sticky.route.routes.size(), 2u);
  FakeReader reader(config->http->variables);
  reader.values["cookie_jsessionid"] = "0123.a";
  EXPECT_EQ(upstream.sticky.route.routes[0].Evaluate(reader), "a");
  reader.values["request_uri"] = "/x;jsessionid=77.b";
  EXPECT_EQ(upstream.sticky.route.routes[1].Evaluate(reader), "b");
}

TEST(Examples, StickyLearnWithEveryParameter) {
  const auto config = MustLoad(InHttp(R"(
    upstream backend {
        server 127.0.0.1:8080;
        server 127.0.0.1:8081;
        sticky learn
            create=$upstream_cookie_examplecookie
            lookup=$cookie_examplecookie
            zone=client_sessions:1m
            timeout=1h
            cookie_max_size=256
            gc_period=5m
            session_rotate
            fill_limit_minor_log=70%
            fill_limit_major_log=0.8
            fill_limit_crit_log=90;
    })"));
  const StickyLearn& learn = config->http->upstreams[0]->sticky.learn;
  EXPECT_EQ(learn.create[0].source(), "$upstream_cookie_examplecookie");
  EXPECT_EQ(learn.lookup[0].source(), "$cookie_examplecookie");
  ASSERT_EQ(learn.zone, 0);
  const SessionZone& zone = config->http->session_zones[0];
  EXPECT_EQ(zone.name, "client_sessions");
  EXPECT_EQ(zone.size, size_t{1} << 20);
  EXPECT_EQ(zone.timeout, 1h);
  EXPECT_EQ(zone.gc_period, 5min);
  EXPECT_EQ(zone.cookie_max_size, 256u);
  EXPECT_TRUE(zone.rotate);
  EXPECT_DOUBLE_EQ(zone.fill.minor, 0.7);
  EXPECT_DOUBLE_EQ(zone.fill.major, 0.8);
  EXPECT_DOUBLE_EQ(zone.fill.crit, 0.9);
}

}  // namespace
}  // namespace limpet::conf
