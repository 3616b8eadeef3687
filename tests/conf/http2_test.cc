// http2, listen … http2, http2_* and sticky_first: values, inheritance, and nginx's messages.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kDeprecated =
    "[warn] the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead "
    "in t.conf:1";
constexpr const char* kRedefined =
    "[warn] protocol options redefined for 127.0.0.1:9000 in t.conf:1";

std::vector<std::string> Warnings(const std::string& text) {
  return MustLoad(InHttp(text))->warnings;
}

// Two servers with names, on one address.
std::string Listening(std::initializer_list<const char*> options) {
  std::string text;
  int number = 0;
  for (const char* option : options) {
    text += "server { server_name s" + std::to_string(number++) + ".test; listen 127.0.0.1:9000 " +
            option + "; } ";
  }
  return text;
}

TEST(Http2, HasNginxsDefaults) {
  const auto config = MustLoad(InLocation(""));
  const Http2Settings& http2 = config->http->servers[0]->http2;
  EXPECT_FALSE(http2.enabled);
  EXPECT_FALSE(http2.websocket);
  EXPECT_EQ(http2.max_concurrent_streams, 128u);
  EXPECT_EQ(http2.body_preread_size, 65536u);
  EXPECT_EQ(FirstLocation(*config).http2_chunk_size, 0u);  // of files 8k
  EXPECT_EQ(config->http->http2_recv_buffer_size, 256u * 1024);
}

TEST(Http2, IsInheritedByServers) {
  const auto config =
      MustLoad(InHttp("http2 on; http2_max_concurrent_streams 3; http2_body_preread_size 1k; "
                      "http2_recv_buffer_size 17; http2_chunk_size 20m; http2_websocket on;"
                      "server { } server { http2 off; http2_max_concurrent_streams 0; }"));
  const auto& servers = config->http->servers;
  EXPECT_TRUE(servers[0]->http2.enabled);
  EXPECT_TRUE(servers[0]->http2.websocket);
  EXPECT_EQ(servers[0]->http2.max_concurrent_streams, 3u);
  EXPECT_EQ(servers[0]->http2.body_preread_size, 1024u);
  EXPECT_EQ(servers[0]->root->http2_chunk_size, (1u << 24) - 1);  // the longest frame there is
  EXPECT_FALSE(servers[1]->http2.enabled);
  EXPECT_EQ(servers[1]->http2.max_concurrent_streams, 0u);
  EXPECT_EQ(config->http->http2_recv_buffer_size, 17u);
}

TEST(Http2, OfAListenIsForAllServersOfTheAddress) {
  const auto config = MustLoad(InHttp(Listening({"", "http2"}) +
                                      "server { listen 127.0.0.1:9001; http2 on; server_name a; }"
                                      "server { listen 127.0.0.1:9001; server_name b; }"));
  const auto& groups = config->http->listens;
  for (const Server* server : groups[0].servers) EXPECT_TRUE(groups[0].SpeaksHttp2(*server));
  EXPECT_TRUE(groups[1].SpeaksHttp2(*groups[1].servers[0]));
  EXPECT_FALSE(groups[1].SpeaksHttp2(*groups[1].servers[1]));
}

TEST(Http2, OfAListenIsDeprecated) {
  EXPECT_THAT(Warnings(Listening({"http2"})), ElementsAre(kDeprecated));
  EXPECT_THAT(Warnings(Listening({"http2", "http2"})), ElementsAre(kDeprecated, kDeprecated));
}

// As nginx warns: without options of the socket, each line may say something else than the first
// one, but not than the one before.
TEST(Http2, OptionsOfOneAddressAreRedefined) {
  EXPECT_THAT(Warnings(Listening({"http2", ""})), ElementsAre(kDeprecated));
  EXPECT_THAT(Warnings(Listening({"", "http2"})), ElementsAre(kDeprecated));
  EXPECT_THAT(Warnings(Listening({"", "http2 bind"})), ElementsAre(kDeprecated));
  EXPECT_THAT(Warnings(Listening({"http2", "", "http2"})),
              ElementsAre(kDeprecated, kDeprecated, kRedefined));
  EXPECT_THAT(Warnings(Listening({"http2 bind", "", "http2"})),
              ElementsAre(kDeprecated, kDeprecated, kRedefined));
  EXPECT_THAT(Warnings(Listening({"proxy_protocol", "http2"})),
              ElementsAre(kDeprecated, kRedefined));
  EXPECT_THAT(Warnings(Listening({"proxy_protocol", "proxy_protocol", "proxy_protocol"})),
              IsEmpty());
}

TEST(Http2, RefusesWhatNginxRefuses) {
  const std::pair<const char*, const char*> cases[] = {
      {"http2 maybe;",
       "invalid value \"maybe\" in \"http2\" directive, it must be \"on\" or "
       "\"off\""},
      {"http2_recv_buffer_size 16;", "\"http2_recv_buffer_size\" directive value is too small"},
      {"http2_pool_size 111;", "the pool size must be no less than 112"},
      {"http2_pool_size 120;", "the pool size must be a multiple of 16"},
      {"http2_streams_index_size 3;",
       "\"http2_streams_index_size\" directive must be a power of two"},
      {"http2_streams_index_size 0;",
       "\"http2_streams_index_size\" directive must be a power of two"},
      {"http2_body_preread_size 2048m;", "the maximum body preread buffer size is 2147483647"},
      {"http2_chunk_size 0;", "the http2 chunk size cannot be zero"},
      {"http2_max_concurrent_streams -1;",
       "\"http2_max_concurrent_streams\" directive invalid number \"-1\": it is 0 to 2147483647"},
      {"http2_push a b;",
       "invalid number of arguments in \"http2_push\" directive: http2_push takes 1 argument"},
      {"server { location / { http2 on; } }",
       "\"http2\" directive is not allowed here, in location: it belongs in http, server"},
      {"server { http2_recv_buffer_size 1k; }",
       "\"http2_recv_buffer_size\" directive is not allowed here, in server: it belongs in http"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(LoadError(InHttp(text)), std::string(message) + " in t.conf:1") << text;
  }
}

TEST(Http2, WarnsOfObsoleteDirectives) {
  const std::pair<std::string, std::string> replaced[] = {
      {"http2_max_requests", "keepalive_requests"},
      {"http2_idle_timeout", "keepalive_timeout"},
      {"http2_recv_timeout", "client_header_timeout"},
      {"http2_max_field_size", "large_client_header_buffers"},
      {"http2_max_header_size", "large_client_header_buffers"}};
  for (const auto& [old, now] : replaced) {
    EXPECT_THAT(Warnings(old + " x;"),
                ElementsAre("[warn] the \"" + old + "\" directive is obsolete, use the \"" + now +
                            "\" directive instead in t.conf:1"));
  }
  for (const std::string old :
       {"http2_max_concurrent_pushes", "http2_push", "http2_push_preload"}) {
    const std::string warning =
        "[warn] the \"" + old + "\" directive is obsolete, ignored in t.conf:1";
    EXPECT_THAT(Warnings(old + " x; " + old + " y;"), ElementsAre(warning, warning));
  }
  EXPECT_THAT(Warnings("http2_pool_size 4k; http2_streams_index_size 64;"), IsEmpty());
}

TEST(StickyFirst, TakesATime) {
  const auto wait = [](const std::string& text) {
    return MustLoad(InHttp("upstream u { server 127.0.0.1:1; " + text + " }"))
        ->http->upstreams[0]
        ->sticky.first_wait;
  };
  EXPECT_EQ(wait(""), 0ms);
  EXPECT_EQ(wait("sticky_first off;"), 0ms);
  EXPECT_EQ(wait("sticky_first wait=200ms;"), 200ms);
  EXPECT_EQ(wait("sticky_first wait=1s;"), 1s);
  const auto error = [](const std::string& text) {
    return LoadError(InHttp("upstream u { server 127.0.0.1:1; " + text + " }"));
  };
  EXPECT_EQ(error("sticky_first wait=soon;"),
            "invalid parameter \"wait=soon\": it takes a time, as 200ms in t.conf:1");
  EXPECT_THAT(error("sticky_first on;"),
              testing::StartsWith("invalid parameter \"on\": sticky_first takes off | wait=TIME"));
}

}  // namespace
}  // namespace limpet::conf
