// Which server a host leads to: nginx's rules, one row each.
#include "worker/http/route/server_names.h"

#include "tests/conf/support.h"

namespace limpet::worker {
namespace {

// Each server is called by its first name here, .name without its dot.
constexpr char kServers[] = R"(
  server { listen 127.0.0.1:80; server_name default.example; }
  server { listen 127.0.0.1:80; server_name exact.example www.exact.example; }
  server { listen 127.0.0.1:80; server_name *.head.example; }
  server { listen 127.0.0.1:80; server_name *.deep.head.example; }
  server { listen 127.0.0.1:80; server_name www.tail.*; }
  server { listen 127.0.0.1:80; server_name www.tail.long.*; }
  server { listen 127.0.0.1:80; server_name .dotted.example; }
  server { listen 127.0.0.1:80; server_name ~^n(?<number>\d+)\.example$; }
  server { listen 127.0.0.1:80; server_name ~\.example$; }
  server { listen 127.0.0.1:80; server_name exact.example second.example; }
  server { listen 127.0.0.1:80; server_name ""; }
)";

struct Row {
  std::string_view host;
  std::string_view server;
  std::string_view why;
};

constexpr Row kRows[] = {
    {"exact.example", "exact.example", "an exact name, of the first server that has it"},
    {"www.exact.example", "exact.example", "any of its names"},
    {"second.example", "exact.example:2", "the second server keeps its other name"},
    {"a.head.example", "*.head.example", "an asterisk is a label"},
    {"a.b.head.example", "*.head.example", "or several"},
    {"a.deep.head.example", "*.deep.head.example", "the longest wildcard"},
    {"deep.head.example", "*.head.example", "the asterisk stands for something"},
    {"head.example", "~\\.example$", "so *.name is not the name"},
    {"www.tail.org", "www.tail.*", "a wildcard at the end"},
    {"www.tail.long.org", "www.tail.long.*", "the longest of those"},
    {"www.tail", "default.example", "the asterisk stands for something there, too"},
    {"dotted.example", "dotted.example", ".name is the name"},
    {"a.b.dotted.example", "dotted.example", "and what is below it"},
    {"n12.example", "~^n(?<number>\\d+)\\.example$", "the first regular expression"},
    {"na.example", "~\\.example$", "or the next"},
    {"other.org", "default.example", "nobody's name: the first server of the address"},
    {"", "", "a request without a host: the server that has no name"},
};

class ServerNamesTest : public testing::Test {
 protected:
  explicit ServerNamesTest(const char* servers = kServers)
      : config_(conf::MustLoad(conf::InHttp(servers))), names_(config_->http->listens[0]) {}

  // As $server_name has it; the second server of a name has ":2" behind it.
  std::string Called(const conf::Server& server) const {
    int same = 0;
    for (const auto& other : config_->http->servers) {
      if (other->name == server.name) ++same;
      if (other.get() == &server) break;
    }
    return same > 1 ? server.name + ":" + std::to_string(same) : server.name;
  }
  ServerNames::Match Find(std::string_view host) { return names_.Find(host, &captures_); }

  std::unique_ptr<const conf::Config> config_;
  ServerNames names_;
  conf::Captures captures_;
};

TEST_F(ServerNamesTest, AreFoundAsTheTableSays) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Called(*Find(row.host).server), row.server) << row.host << ": " << row.why;
  }
}

TEST_F(ServerNamesTest, TellTheDefaultServerFromOneThatIsNamed) {
  EXPECT_FALSE(Find("other.org").named);
  EXPECT_TRUE(Find("exact.example").named);
  EXPECT_TRUE(Find("default.example").named) << "it has been asked for";
}

TEST_F(ServerNamesTest, GiveTheGroupsOfARegularExpression) {
  const ServerNames::Match match = Find("n12.example");
  ASSERT_NE(match.regex, nullptr);
  EXPECT_EQ(captures_.Group(1), "12");
  EXPECT_EQ(Find("exact.example").regex, nullptr);
}

TEST_F(ServerNamesTest, OfTlsAreTakenAsTheClientHasSentThem) {
  struct {
    std::string_view sent, server;
    bool named;
  } const kSent[] = {
      {"EXACT.Example", "exact.example", true},   // letters do not count
      {"exact.example.", "exact.example", true},  // nor does a final dot
      {"other.org", "default.example", false},
      {"", "default.example", false},     // no name was sent
      {"a/b", "default.example", false},  // nor is this one
      {"exact.example\x01", "default.example", false},
  };
  for (const auto& row : kSent) {
    const ServerNames::Match match = names_.FindForTls(row.sent);
    EXPECT_EQ(Called(*match.server), row.server) << row.sent;
    EXPECT_EQ(match.named, row.named) << row.sent;
  }
}

TEST(ServerNames, OfOneServerLeadNowhereElse) {
  const auto config =
      conf::MustLoad(conf::InHttp("server { listen 127.0.0.1:80; server_name a.example; }"));
  const ServerNames names(config->http->listens[0]);
  conf::Captures captures;
  EXPECT_EQ(names.Find("b.example", &captures).server, config->http->servers[0].get());
}

TEST(ServerNames, SayWhyARegularExpressionGaveUp) {
  const auto config =
      conf::MustLoad(conf::InHttp("server { listen 127.0.0.1:80; server_name ~^(a+)+$; }"
                                  "server { listen 127.0.0.1:80; server_name ~.; }"));
  const ServerNames names(config->http->listens[0]);
  conf::Captures captures;
  const ServerNames::Match match = names.Find(std::string(40, 'a') + "b", &captures);
  EXPECT_THAT(match.failure, testing::HasSubstr("match limit exceeded"));
  EXPECT_FALSE(match.named);
}

TEST(ServerNames, AllowHeadsAsLongAsAnyOfTheirServersDoes) {
  const auto config = conf::MustLoad(conf::InHttp(
      "server { listen 127.0.0.1:80; server_name a; large_client_header_buffers 4 8k;"
      " underscores_in_headers on; }"
      "server { listen 127.0.0.1:80; server_name b; large_client_header_buffers 2 16k; }"));
  const ServerNames names(config->http->listens[0]);
  EXPECT_EQ(names.head_limits().max_line, 16u * 1024);
  EXPECT_EQ(names.head_limits().max_total, 33u * 1024) << "large buffers come after the first";
  EXPECT_TRUE(names.head_limits().underscores_in_headers) << "the default server's";
}

TEST(ServerNames, TellWhatEachServerWantsOfFields) {
  const auto config = conf::MustLoad(conf::InHttp(
      "server { listen 127.0.0.1:80; server_name a; }"
      "server { listen 127.0.0.1:80; server_name b; underscores_in_headers on; max_headers 2000; }"
      "server { listen 127.0.0.1:80; server_name c; ignore_invalid_headers off; }"));
  const ServerNames names(config->http->listens[0]);
  const conf::Server& first = *config->http->listens[0].default_server;
  EXPECT_TRUE(names.fields_differ());
  EXPECT_EQ(names.head_limits().max_headers, 2000u) << "the most of any";
  EXPECT_EQ(names.LimitsOf(first).max_headers, 1000u);
  EXPECT_TRUE(names.LimitsOf(names.OfHost("B:80", first)).underscores_in_headers);
  EXPECT_FALSE(names.LimitsOf(names.OfHost("c", first)).ignore_invalid_headers);
  EXPECT_EQ(&names.OfHost("b/b", names.OfHost("c", first)), &names.OfHost("c", first)) << "no host";
  proto::RequestHead head;
  head.target = "http://c/";
  head.headers.Add(proto::HeaderId::kHost, "Host", "b", true);
  EXPECT_EQ(names.OfHead(head, first).name, "c") << "an absolute target wins";
  head.target = "/";
  EXPECT_EQ(names.OfHead(head, first).name, "b");
  head.headers.Clear();
  EXPECT_EQ(&names.OfHead(head, first), &first);
}

TEST(ServerNames, WhereAllServersWantTheSameOfFields) {
  const auto config =
      conf::MustLoad(conf::InHttp("server { listen 127.0.0.1:80; server_name a; }"
                                  "server { listen 127.0.0.1:80; server_name b; }"));
  EXPECT_FALSE(ServerNames(config->http->listens[0]).fields_differ());
}

TEST(IsNameOf, KnowsEachKindOfName) {
  const auto config = conf::MustLoad(
      conf::InHttp("server { listen 127.0.0.1:80; server_name a.b *.c d.* .e ~^f; }"));
  const conf::Server& server = *config->http->servers[0];
  for (const std::string_view name : {"a.b", "x.c", "x.y.c", "d.x", "e", "x.e", "fx"})
    EXPECT_TRUE(IsNameOf(server, name)) << name;
  for (const std::string_view name : {"b", "x.a.b", "c", "d", "xe", "xf", ""})
    EXPECT_FALSE(IsNameOf(server, name)) << name;
}

}  // namespace
}  // namespace limpet::worker
