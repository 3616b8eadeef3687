// Points of the language that need a word: names with dots, lines that come twice, what is accepted
// and does nothing, and what other servers' modules have.
#include <fmt/core.h>

#include <fstream>

#include "base/text.h"
#include "conf/directive.h"
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

std::string InUpstream(const std::string& text) {
  return InHttp("upstream u { server 127.0.0.1:1; " + text + " }");
}

std::vector<std::string> Warnings(const std::string& text) { return MustLoad(text)->warnings; }
std::vector<std::string> Notices(const std::string& text) { return MustLoad(text)->notices; }

// The name of the variable that a key is.
std::string NameOf(const Config& config, const Template& key) {
  return key.is_single_variable() ? config.http->variables[key.single_variable()].name : "";
}

TEST(Language, ThereAreAsManyWorkersAsHavePlaces) {
  const auto few = MustLoad("worker_processes 120; events {}");
  EXPECT_EQ(few->worker_processes, 120);
  EXPECT_THAT(few->warnings, IsEmpty());
  const auto many = MustLoad("worker_processes 200; events {}");
  EXPECT_EQ(many->worker_processes, 120);
  EXPECT_THAT(many->warnings,
              ElementsAre(HasSubstr("there are at most 120 workers, 80 of them are left out")));
}

TEST(StickyNames, AreTheRestOfTheWord) {
  for (const char* name : {"connect.sid", "ASP.NET_SessionId", "laravel-session", "__Host-sid",
                           "next-auth.session-token", "plain"}) {
    const auto config = MustLoad(
        InUpstream(fmt::format("sticky learn create=$upstream_cookie_{0} lookup=$cookie_{0} "
                               "zone=z:1m;",
                               name)));
    const StickyLearn& learn = config->http->upstreams[0]->sticky.learn;
    EXPECT_EQ(NameOf(*config, learn.create[0]), "upstream_cookie_" + ToLower(name));
    EXPECT_EQ(NameOf(*config, learn.lookup[0]), "cookie_" + ToLower(name));
    EXPECT_THAT(config->warnings, IsEmpty());
    const auto routed = MustLoad(InUpstream(fmt::format("sticky route $cookie_{};", name)));
    EXPECT_EQ(NameOf(*routed, routed->http->upstreams[0]->sticky.route.routes[0]),
              "cookie_" + ToLower(name));
  }
}

TEST(StickyNames, OfSeveralVariablesEndWhereTheyEndElsewhere) {
  const auto config = MustLoad(InUpstream("sticky route ${cookie_a}.x $cookie_a.$cookie_b;"));
  FakeReader reader(config->http->variables);
  reader.values = {{"cookie_a", "1"}, {"cookie_b", "2"}};
  const auto& routes = config->http->upstreams[0]->sticky.route.routes;
  EXPECT_EQ(routes[0].Evaluate(reader), "1.x");
  EXPECT_EQ(routes[1].Evaluate(reader), "1.2");
}

TEST(CookieNames, ThatEndTooEarlyAreWarnedOf) {
  const char* misread[] = {"upstream v { server 127.0.0.1:1; hash $cookie_connect.sid; }",
                           "map $cookie_x-y $z { default 1; }",
                           "log_format f '$uri \"$cookie_connect.sid\"';",
                           "server { add_header X $upstream_cookie_a.b; }"};
  for (const char* text : misread) {
    EXPECT_THAT(Warnings(InHttp(text)),
                ElementsAre(HasSubstr("as the name of a variable ends there")))
        << text;
  }
  EXPECT_THAT(
      Warnings(InHttp("map $cookie_x.sid $z { default 1; }")),
      ElementsAre("[warn] \"$cookie_x.sid\" is \"$cookie_x\" with \".sid\" behind it, as the "
                  "name of a variable ends there: a map of $http_cookie finds that cookie "
                  "in t.conf:1"));
  const char* meant[] = {"log_format f '$cookie_a-$cookie_b $cookie_a. $cookie_a.';",
                         "server { try_files /$cookie_lang.html =404; root /srv/$cookie_a.b/c; }",
                         "map $http_host.x $z { default 1; }",
                         "map ${cookie_x}.y $z { default 1; }",
                         "server { add_header X $cookie_a.b$cookie_c; }"};
  for (const char* text : meant) EXPECT_THAT(Warnings(InHttp(text)), IsEmpty()) << text;
}

TEST(StickyLearn, WarnsWhereCreateAndLookupAreExchanged) {
  EXPECT_THAT(
      Warnings(InUpstream("sticky learn create=$cookie_s lookup=$upstream_cookie_s zone=z:1m;")),
      ElementsAre(HasSubstr("are \"create\" and \"lookup\" exchanged? in t.conf:1")));
}

TEST(StickyLearn, WarnsOfWholeFields) {
  EXPECT_THAT(Warnings(InUpstream(
                  "sticky learn create=$upstream_http_set_cookie lookup=$http_cookie zone=z:1m;")),
              ElementsAre(HasSubstr("write create=$upstream_cookie_NAME in t.conf:1"),
                          HasSubstr("write lookup=$cookie_NAME in t.conf:1")));
  EXPECT_THAT(Warnings(InUpstream("sticky learn create=$upstream_http_set_cookie2 "
                                  "lookup=$http_cookie2 zone=z:1m;")),
              IsEmpty());
}

TEST(Keys, WithoutAVariableAreNoticed) {
  const std::pair<std::string, const char*> cases[] = {
      {InUpstream("hash remote_addr;"), "remote_addr"},
      {InUpstream("hash cookie_id consistent;"), "cookie_id"},
      {InHttp("limit_req_zone binary_remote_addr zone=a:1m rate=1r/s;"), "binary_remote_addr"},
      {InHttp("limit_conn_zone remote_addr zone=a:1m;"), "remote_addr"},
      {InHttp("split_clients remote_addr $a { * b; }"), "remote_addr"},
      {InHttp("map http_upgrade $a { default b; }"), "http_upgrade"},
  };
  for (const auto& [text, key] : cases)
    EXPECT_THAT(Notices(text),
                ElementsAre(testing::StartsWith(fmt::format("the key \"{}\" of \"", key))))
        << text;
  EXPECT_THAT(Notices(InUpstream("hash $remote_addr;")), IsEmpty());
  EXPECT_THAT(Notices(InHttp("map $http_upgrade $a { default b; } map \"\" $c { default d; }")),
              IsEmpty());
}

TEST(StickyCookie, WithoutAPathIsNoticed) {
  EXPECT_THAT(Notices(InUpstream("sticky cookie n;")),
              ElementsAre(HasSubstr("\"path=/\" is for the whole site in t.conf:1")));
  EXPECT_THAT(Notices(InUpstream("sticky cookie n path=/;")), IsEmpty());
}

TEST(Listen, OfHttpsWithoutSslIsWarnedOf) {
  const std::string keys = "ssl_certificate a; ssl_certificate_key a; }";
  EXPECT_THAT(Warnings(InHttp("server { listen 127.0.0.1:443; " + keys)),
              ElementsAre("[warn] 127.0.0.1:443 speaks no TLS, \"listen\" has no \"ssl\": "
                          "\"ssl_certificate\" has no effect in t.conf:1"));
  for (const char* listens : {"listen 127.0.0.1:443 ssl; ", "listen 127.0.0.1:80; "})
    EXPECT_THAT(Warnings(InHttp("server { " + std::string(listens) + keys)), IsEmpty()) << listens;
  EXPECT_THAT(Warnings(InHttp("server { listen 127.0.0.1:443; }")), IsEmpty());
}

TEST(StickyCookie, MaxAgeTakesAValue) {
  EXPECT_EQ(LoadError(InUpstream("sticky cookie n max-age 3600;")),
            "\"sticky\" directive no value for \"max-age\": write max-age=3600 in t.conf:1");
}

TEST(StickyCookie, HasAttributesOfAnyName) {
  const auto config =
      MustLoad(InUpstream("sticky cookie n path=/$uri Partitioned max-age=1 $cookie_attr;"));
  const StickyCookie& cookie = config->http->upstreams[0]->sticky.cookie;
  EXPECT_TRUE(cookie.path.is_constant());
  EXPECT_EQ(cookie.path.constant(), "/$uri") << "as nginx has it";
  ASSERT_EQ(cookie.others.size(), 3u);
  EXPECT_EQ(cookie.others[0].name, "");
  EXPECT_EQ(cookie.others[0].value.constant(), "Partitioned");
  EXPECT_EQ(cookie.others[1].name, "max-age");
  EXPECT_EQ(cookie.others[2].name, "");
  EXPECT_TRUE(cookie.others[2].value.is_single_variable());
  EXPECT_EQ(LoadError(InUpstream("sticky cookie n path=;")),
            "\"sticky\" directive no value for \"path\" in t.conf:1");
}

TEST(Twice, WordsAreUnited) {
  const auto config = MustLoad(
      InHttp("ssl_protocols TLSv1.2; ssl_protocols TLSv1.3; gzip_proxied expired; server { "
             "proxy_next_upstream error; proxy_next_upstream http_502; gzip_proxied private; "
             "gzip_proxied auth; location / { } }"));
  const Location& location = FirstLocation(*config);
  EXPECT_EQ(config->http->servers[0]->tls.protocols, kTls12 | kTls13);
  EXPECT_EQ(location.proxy.next_upstream, kNextError | kNext502);
  EXPECT_EQ(location.response.gzip.proxied, kGzipProxiedPrivate | kGzipProxiedAuth)
      << "what a block says takes the place of what surrounds it";
}

TEST(Twice, OffStandsAlone) {
  for (const char* name : {"proxy_cookie_path", "proxy_cookie_domain"}) {
    const std::string duplicate = fmt::format("\"{}\" directive is duplicate in t.conf:1", name);
    EXPECT_EQ(LoadError(InHttp(fmt::format("{0} off; {0} off;", name))), duplicate);
    EXPECT_EQ(LoadError(InHttp(fmt::format("{0} off; {0} a b;", name))), duplicate);
    EXPECT_EQ(LoadError(InHttp(fmt::format("{0} a b; {0} off;", name))), duplicate);
    EXPECT_EQ(LoadError(InHttp(fmt::format("{0} a b; {0} c d;", name))), "loaded");
  }
}

TEST(Undone, IsWarnedOfLineByLine) {
  const auto config = MustLoad(
      "load_module a.so;\nthread_pool a threads=1;\nevents {}\nhttp {\nproxy_cache_path c "
      "keys_zone=k:1m;\nproxy_cache k;\nproxy_store on;\nproxy_cache_valid 1m;\nslice 1m;\n"
      "fastcgi_temp_path a;\nmap $upstream_cache_status$upstream_cache_age $x { default 1; }\n"
      "server { proxy_cache off; slice 0; } }");
  const auto left_out = [](const char* name, const char* why, int line) {
    return fmt::format("[warn] \"{}\" is left out: {} in t.conf:{}", name, why, line);
  };
  EXPECT_THAT(
      config->warnings,
      testing::UnorderedElementsAre(
          left_out("load_module", "what is not in limpet cannot be loaded", 1),
          left_out("thread_pool", "workers have no threads", 2),
          left_out("proxy_cache_path", "responses are not kept", 5),
          left_out("proxy_cache", "responses are not kept", 6),
          left_out("proxy_store", "responses are not kept", 7),
          left_out("slice", "responses are not kept, so there is nothing to keep in slices", 9),
          left_out("fastcgi_temp_path", "limpet proxies HTTP only", 10)));
  EXPECT_THAT(config->notices, ElementsAre("\"proxy_cache_valid\" has no effect: responses are not "
                                           "kept in t.conf:8"));
}

TEST(Inert, IsNoticedLineByLineUnlessOff) {
  EXPECT_THAT(
      Notices("events { multi_accept on; }\nhttp {\ntcp_nopush on; aio off; directio off;\n}"),
      testing::UnorderedElementsAre(
          "\"multi_accept\" has no effect: workers take connections in turn in t.conf:1",
          HasSubstr("\"tcp_nopush\" has no effect: ")));
  for (const Group& group : DirectiveGroups()) {
    for (const Row& row : group.rows) {
      EXPECT_EQ((row.traits & kInert) != 0, row.doc.starts_with("accepted; ")) << row.name;
      EXPECT_EQ((row.traits & kUndone) != 0, row.doc.starts_with("accepted with a warning; "))
          << row.name;
    }
  }
}

TEST(AutoRedirect, IsWhatItsDirectiveSaysOrOfProxyPass) {
  const std::pair<const char*, bool> cases[] = {
      {"location /a/ { auto_redirect on; }", true},
      {"location /a/ { auto_redirect default; }", false},
      {"location /a/ { proxy_pass http://127.0.0.1; }", true},
      {"location /a/ { proxy_pass http://127.0.0.1; auto_redirect default; }", true},
      {"location /a/ { proxy_pass http://127.0.0.1; auto_redirect off; }", false},
      {"location /a/ { auto_redirect off; proxy_pass http://127.0.0.1; }", false},
      {"location /a { auto_redirect on; }", false},
      {"location ~ /a/ { auto_redirect on; }", false},
  };
  for (const auto& [text, redirects] : cases)
    EXPECT_EQ(FirstLocation(*MustLoad(InServer(text))).auto_redirect, redirects) << text;
  EXPECT_TRUE(
      FirstLocation(*MustLoad(InServer("auto_redirect on; location /a/ { }"))).auto_redirect)
      << "it is inherited";
  EXPECT_FALSE(FirstLocation(
                   *MustLoad(InServer("auto_redirect on; location /a/ { auto_redirect default; }")))
                   .auto_redirect);
}

TEST(Location, MayHaveSeveralNames) {
  const auto config = MustLoad(InServer("location =/a /b ~*\\.c$ { internal; }"));
  const LocationTree& tree = config->http->servers[0]->root->children;
  ASSERT_TRUE(tree.exact.contains("/a") && tree.prefixes.contains("/b"));
  ASSERT_EQ(tree.regexes.size(), 1u);
  for (const Location* location : {tree.exact.at("/a"), tree.prefixes.at("/b"), tree.regexes[0]})
    EXPECT_TRUE(location->internal) << location->name;
  EXPECT_EQ(MustLoad(InServer("location /a /b { proxy_cache k; }"))->warnings.size(), 1u);
  EXPECT_THAT(LoadError(InServer("location /a /a { }")), HasSubstr("duplicate location \"/a\""));
  for (const char* wrong : {"~^ /a", "/a = /b", "a /b", "/a b", "= /a /b"}) {
    EXPECT_THAT(LoadError(InServer(fmt::format("location {} {{ }}", wrong))),
                HasSubstr("invalid location modifier"))
        << wrong;
  }
}

TEST(Resolver, TakesTheNameServersOfAFile) {
  const std::string file = testing::TempDir() + "limpet-resolv.conf";
  std::ofstream(file) << "# a comment\nsearch x.test\nnameserver 192.0.2.1\n"
                         "nameserver\t2001:db8::1 # its own\nnameserver x\n";
  const auto config = MustLoad(InLocation("resolver conf=" + file + " 192.0.2.9:5353;"));
  std::vector<std::string> servers;
  for (const SocketAddress& server : FirstLocation(*config).resolver->servers)
    servers.push_back(server.ToString());
  EXPECT_THAT(servers, ElementsAre("192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.9:5353"));
  EXPECT_THAT(LoadError(InHttp("resolver conf=/nowhere/at/all;")), HasSubstr("failed"));
}

TEST(Resolver, MayBeNamed) {
  const auto config = MustLoad(InLocation("resolver localhost:5353 127.0.0.9;"));
  std::vector<std::string> servers;
  for (const SocketAddress& server : FirstLocation(*config).resolver->servers)
    servers.push_back(server.ToString());
  EXPECT_THAT(servers, IsSupersetOf({"127.0.0.1:5353", "127.0.0.9:53"}));
}

TEST(NamedLocation, IsTheFirstOfTwo) {
  const auto config = MustLoad(InServer("location @a { etag off; } location @a { etag on; }"));
  EXPECT_FALSE(config->http->servers[0]->root->children.named.at("@a")->response.etag);
}

TEST(Foreign, NamesTheAreaOrTheLineToWrite) {
  const std::pair<const char*, const char*> cases[] = {
      {"stream { server { listen 1; } }",
       "\"stream\": limpet proxies HTTP only: stream is left out"},
      {"mail { }", "\"mail\": limpet proxies HTTP only: mail is left out"},
      {"http { server { location / { fastcgi_pass 127.0.0.1:9000; } } }",
       "\"fastcgi_pass\": limpet proxies HTTP only: FastCGI is left out"},
      {"http { server { location / { grpc_pass a; } } }", "gRPC is left out"},
      {"http { server { quic_retry on; } }", "HTTP/3 is left out"},
      {"http { ssi on; }", "server side includes are left out"},
      {"http { js_import a; }", "njs is left out"},
      {"http { server { location / { content_by_lua_block { if a then ngx.say(\"}\") end } } } }",
       "Lua is left out"},
      {"http { server { location / { post_action /x; } } }", "write mirror instead"},
      {"http { prometheus_template all { } }", "prometheus says all there is"},
      {"http { api_config_files on; }", "the API does not show configurations"},
      {"http { client { } }", "write health_check instead"},
      {"http { docker_endpoint unix:/a; }", "write resolve at the server instead"},
      {"http { server { location / { upstream_probe a uri=/up interval=2s test=$good essential; } "
       "} }",
       "write instead: health_check uri=/up interval=2s mandatory match=NAME; with match NAME"},
      {"http { metric_zone a:1m count; }", "write prometheus instead"},
      {"http { upstream a { response_time_factor 90; } }", "write least_time"},
      {"http { proxy_connection_drop on; }", "write drain"},
      {"http { error_log_user_tag $uri; }", "write $request_id into log_format"},
      {"http { upstream a { session_sticky cookie=sid path=/ fallback=off; } }",
       "write instead: sticky cookie sid path=/; sticky_strict on;"},
      {"http { upstream a { check interval=3000 rise=2 fall=5 type=http; } }",
       "write instead: health_check interval=3000ms passes=2 fails=5;"},
      {"http { upstream a { consistent_hash $uri; } }", "write instead: hash $uri consistent;"},
      {"http { upstream a { fair; } }", "write instead: least_conn;"},
      {"http { upstream a { balance leastconn; } }", "it is HAProxy's: write least_conn"},
      {"http { upstream a { round_robin; } }", "leave it out"},
      {"http { upstream a { least_connections; } }", "write least_conn instead"},
      {"http { server { location / { uwsgi_pass a; } } }", "let the application listen for HTTP"},
      {"http { server { ssl on; } }", "\"ssl\": write ssl behind the address of listen instead"},
      {"mgmt { license_token a; }", "limpet needs no licence"},
      {"http { match a { require $upstream_status; } }", "a match has status, header and body"},
      {"http { otel_exporter { endpoint a:1; } }", "traces are not sent"},
      {"http { server { location / { set_escape_uri $a $uri; } } }", "use map or split_clients"},
      {"http { server { location / { set_cookie_flag HttpOnly; } } }", "write proxy_cookie_flags"},
      {"http { server { location / { auth_pam \"a\"; } } }", "a service behind auth_request"},
      {"http { server { location / { SecRulesEnabled; } } }", "no application firewall"},
      {"http { limit_zone a $uri 1m; }", "write limit_conn_zone instead"},
      {"http { upstream a { sticky_cookie_insert srv expires=1h; } }",
       "write instead: sticky cookie srv expires=1h;"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(LoadError(text), HasSubstr(message)) << text;
    EXPECT_THAT(LoadError(text), testing::Not(HasSubstr("did you mean"))) << text;
  }
  EXPECT_EQ(LoadError(InHttp("ssi off; http3 off; brotli off;")), "loaded") << "as it is anyway";
}

TEST(Foreign, VariablesOfWhatIsLeftOutNameTheArea) {
  const std::pair<const char*, const char*> cases[] = {
      {"http3", "HTTP/3 is left out"},
      {"fastcgi_script_name", "FastCGI is left out"},
      {"geoip_country_code", "write geoip2 instead"},
      {"ssl_preread_server_name", "stream is left out"},
  };
  for (const auto& [name, message] : cases) {
    const std::string error = LoadError(InServer(fmt::format("return 200 ${};", name)));
    EXPECT_THAT(error, HasSubstr(fmt::format("unknown \"{}\" variable: ", name)));
    EXPECT_THAT(error, HasSubstr(message));
    EXPECT_THAT(error, testing::Not(HasSubstr("did you mean")));
  }
  EXPECT_THAT(LoadError(InServer("set_realip_from 10.0.0.1;")), HasSubstr("set_real_ip_from"));
}

TEST(Foreign, StickyOfOldModulesIsTranslated) {
  const std::pair<const char*, const char*> cases[] = {
      {"sticky;", "sticky cookie route;"},
      {"sticky name=route expires=1h hash=sha1 no_fallback;",
       "sticky cookie route expires=1h; sticky_strict on;"},
      {"sticky name=a domain=.b.c path=/x secure httponly hmac=md5 hmac_key=k;",
       "sticky cookie a domain=.b.c path=/x secure httponly; sticky_secret k;"},
  };
  for (const auto& [text, line] : cases) {
    EXPECT_EQ(
        LoadError(InUpstream(text)),
        fmt::format("\"sticky\" is another module's here, write instead: {} in t.conf:1", line));
    EXPECT_EQ(LoadError(InUpstream(line)), "loaded") << line;
  }
  EXPECT_THAT(LoadError(InUpstream("sticky cokie a;")), HasSubstr("unknown parameter \"cokie\""));
}

TEST(LeastTime, TakesInflight) {
  EXPECT_EQ(LoadError(InUpstream("least_time header inflight;")), "loaded");
  EXPECT_EQ(
      LoadError(InUpstream("least_time header fast;")),
      "invalid parameter \"fast\": least_time takes header | last_byte [inflight] in t.conf:1");
}

TEST(Api, TakesTheLocationsPrefix) {
  const auto config =
      MustLoad(InServer("location /status/ { api write=on; } location /b/ { api; }"));
  const auto& locations = config->http->servers[0]->locations;
  EXPECT_EQ(*locations[0]->api, "/status/");
  EXPECT_TRUE(locations[0]->api_write);
  EXPECT_EQ(*locations[1]->api, "/b/");
  EXPECT_FALSE(locations[1]->api_write);
  EXPECT_THAT(LoadError(InServer("location ~ a { api; }")), HasSubstr("\"api\" needs a prefix"));
}

TEST(Slashes, OfAnAliasOrProxiedPathAreWarnedOf) {
  EXPECT_THAT(Warnings(InServer("location /a { alias /srv/; } location /b { proxy_pass "
                                "http://127.0.0.1:1/x/; }")),
              ElementsAre(HasSubstr("location \"/a\" has no slash at its end, but \"/srv/\" has"),
                          HasSubstr("location \"/b\" has no slash at its end, but \"/x/\" has")));
  EXPECT_THAT(Warnings(InServer("location /a/ { alias /srv/; } location = /b { alias /srv/; } "
                                "location /c { alias /srv; } location ~ d { alias /srv/; }")),
              IsEmpty());
}

}  // namespace
}  // namespace limpet::conf
