// Words and names as nginx reads them: what it takes in any case, what only where it does no harm.
#include <fmt/core.h>

#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Words, OfATableAreReadInAnyCase) {
  const auto config = MustLoad(InServer(
      "server_tokens Off; ssl_protocols tlsv1.3; ssl_verify_client Optional_No_CA; gzip_static On; "
      "ssl_ocsp Off; gzip_proxied Any; satisfy Any; lingering_close Always; if_modified_since "
      "Before; autoindex_format JSON; client_body_in_file_only ON; limit_req_log_level WARN; "
      "limit_conn_log_level Warn; keepalive_disable None; add_header_inherit On; "
      "proxy_next_upstream HTTP_502; location / { }"));
  const Location& location = FirstLocation(*config);
  EXPECT_EQ(location.response.server_tokens, ResponseSettings::Tokens::kOff);
  EXPECT_EQ(config->http->servers[0]->tls.protocols, kTls13);
  EXPECT_EQ(location.response.gzip.proxied, kGzipProxiedAny);
  EXPECT_TRUE(location.access.satisfy_any);
  EXPECT_EQ(location.response.auto_index.format, AutoIndex::Format::kJson);
  EXPECT_EQ(location.access.limit_req.log_level, LogLevel::kWarn);
  EXPECT_EQ(location.proxy.next_upstream, kNext502);
}

TEST(Words, OthersAreReadAsTheyStand) {
  for (const char* text : {"disable_symlinks Off;", "listen 81 SSL;", "rewrite a b Last;",
                           "expires Off;", "if (-F /a) { }"}) {
    EXPECT_NE(LoadError(InServer(text)), "loaded") << text;
  }
}

TEST(Names, WithAMisplacedWildcardFitNoHostOfALoneServer) {
  for (const char* name : {"*.*", "www.*.com", "*.example.*", "a*", "..", ".*", "a..b"}) {
    const auto config = MustLoad(InHttp(fmt::format(
        "server {{ listen 127.0.0.1:1; listen 127.0.0.1:2; server_name a.example {}; }}", name)));
    EXPECT_THAT(config->warnings, ElementsAre(fmt::format("[warn] invalid server name or wildcard "
                                                          "\"{}\": it fits no host in t.conf:1",
                                                          name)));
  }
  EXPECT_EQ(MustLoad(InServer("server_name .*;"))->http->servers[0]->name, "*");
}

TEST(Names, WithAMisplacedWildcardAreRefusedWhereSeveralServersAre) {
  const auto load = [](std::string_view name) {
    return LoadError(
        InHttp(fmt::format("server {{ listen 127.0.0.1:1; listen 127.0.0.1:2; "
                           "server_name {}; }} server {{ listen 127.0.0.1:2; }}",
                           name)));
  };
  for (const char* name : {"*.*", "www.*.com", "*.example.*", "a*", "..", "a..b", ".*.*"})
    EXPECT_EQ(load(name), fmt::format("invalid server name or wildcard \"{}\" on 127.0.0.1:2 in "
                                      "t.conf:1",
                                      name));
  for (const char* name : {".*", ".a*", "*.a", "a.*"}) EXPECT_EQ(load(name), "loaded") << name;
  for (const char* name : {"*", "*a", ".", "*."})
    EXPECT_THAT(LoadError(InServer(fmt::format("server_name {};", name))), HasSubstr("is invalid"));
}

TEST(Charset, OfTheSourceIsThatOfTheAnswer) {
  EXPECT_EQ(LoadError(InHttp("charset utf-8; server { location / { source_charset koi8-r; } }")),
            "no \"charset_map\" between the charsets \"koi8-r\" and \"utf-8\" in t.conf:1");
  for (const char* text : {"charset utf-8; source_charset UTF-8;", "source_charset koi8-r;",
                           "charset $arg_a; source_charset koi8-r;"})
    EXPECT_EQ(LoadError(InServer(text)), "loaded") << text;
}

TEST(Listen, TakesMultipathAndWarnsOfAcceptFilters) {
  const auto config =
      MustLoad(InHttp("server { listen 127.0.0.1:1 multipath accept_filter=httpready; }"));
  EXPECT_TRUE(config->http->listens[0].listen.multipath);
  EXPECT_TRUE(config->http->listens[0].listen.bind);
  EXPECT_THAT(config->warnings, ElementsAre(HasSubstr("accept filters \"httpready\" are not")));
}

TEST(Scripts, TakeWhatNginxTakes) {
  const std::pair<const char*, const char*> refused[] = {
      {"location / { if ($uri) { if ($args) { } } }", "\"if\" directive is not allowed here"},
      {"if ($uri) { if ($args) { } }", "\"if\" directive is not allowed here"},
      {"set $ b;", "invalid variable name \"$\""},
      {"if (${uri}) { }", "unknown \"{uri}\" variable"},
  };
  for (const auto& [text, why] : refused) EXPECT_THAT(LoadError(InServer(text)), HasSubstr(why));
  EXPECT_EQ(
      LoadError(InLocation("if ($uri) { add_header_inherit merge; add_trailer_inherit off; }")),
      "loaded");
  for (const char* name : {"args", "limit_rate"})
    EXPECT_EQ(LoadError(InHttp(fmt::format("map $uri ${} {{ }}", name))), "loaded") << name;
  EXPECT_THAT(LoadError(InHttp("map $args $uri { }")), HasSubstr("the duplicate \"uri\" variable"));
}

TEST(Limits, HaveNamesOfTheirOwnAndDelays) {
  constexpr char kReq[] = "limit_req_zone $uri zone=a:1m rate=1r/s;";
  constexpr char kConn[] = "limit_conn_zone $uri zone=a:1m;";
  const char* const why = "the shared memory zone \"a\" is already declared for a different use";
  EXPECT_THAT(LoadError(InHttp(fmt::format("{}{}", kReq, kConn))), HasSubstr(why));
  EXPECT_THAT(LoadError(InHttp(fmt::format("{}{}", kConn, kReq))), HasSubstr(why));
  EXPECT_THAT(LoadError(InHttp(fmt::format("{} limit_req zone=a burst=2 delay=0;", kReq))),
              HasSubstr("invalid delay value \"delay=0\": the number is 1 to 2147483647"));
  EXPECT_EQ(LoadError(InHttp("max_headers 0;")), "loaded");
}

}  // namespace
}  // namespace limpet::conf
