// Words, escapes and units; and text that is no configuration must be refused, never crash.
#include <chrono>
#include <random>

#include "conf/lexer.h"
#include "conf/units.h"
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using Words = std::vector<std::string>;

TEST(Lexer, Words) {
  const std::pair<const char*, Words> cases[] = {
      {"a b;", {"a", "b"}},
      {"a \"b c\" 'd;e';", {"a", "b c", "d;e"}},
      {"a # c;\n b;", {"a", "b"}},
      {"a#b;", {"a#b"}},
      {R"(a \"b\" \d \\ "\t";)", {"a", "\"b\"", "\\d", "\\", "\t"}},
      {"a ${b}c;", {"a", "${b}c"}},
      {"a b\"c;", {"a", "b\"c"}},
      {"if ($a = \"b\");", {"if", "($a", "=", "b", ")"}},
  };
  for (const auto& [text, expected] : cases) {
    Words words;
    Lexer lexer(text);
    const auto ending = lexer.Next(&words);
    ASSERT_TRUE(ending) << text;
    EXPECT_EQ(*ending, Ending::kSemicolon) << text;
    EXPECT_EQ(words, expected) << text;
  }
}

TEST(Units, Times) {
  EXPECT_EQ(ParseTime("1h30m", false), 90min);
  EXPECT_EQ(ParseTime("1h 30m", false), 90min);
  EXPECT_EQ(ParseTime("5", false), 5s);
  EXPECT_EQ(ParseTime("1s500", false), 501s) << "the last number needs no unit";
  EXPECT_EQ(ParseTime("1s500ms", false), 1500ms);
  for (const char* bad :
       {"", "m", "1m1h", "1x", "-1", "1s1s", "99999999999999999999y", "9223372036854775807y"}) {
    EXPECT_FALSE(ParseTime(bad, false)) << bad;
  }
  EXPECT_FALSE(ParseTime("5ms", true));
}

TEST(Units, Sizes) {
  EXPECT_EQ(ParseSizeUnits("10k", false), 10240);
  EXPECT_EQ(ParseSizeUnits("1G", true), int64_t{1} << 30);
  for (const char* bad : {"", "k", "1g", "1kk", "-1", "9223372036854775807m"})
    EXPECT_FALSE(ParseSizeUnits(bad, false)) << bad;
}

constexpr const char* kSeed = R"conf(worker_processes 2; events { worker_connections 10; }
http { log_format x escape=json '$remote_addr ${uri}'; access_log /l x buffer=1k flush=1s if=$y; error_log /e warn;
map $arg_a $y { hostnames; default 0; ~*^(?<n>a+)$ $n; *.b.c 1; \~x 2; } geo $g { ranges; 1.0.0.0-1.1.255.255 a; default b; }
geo $arg_z $h { proxy 10.0.0.0/8; 10.0.0.0/255.0.0.0 x; } split_clients $y $s { 10.5% a; * b; } types { text/x x y; }
limit_req_zone $g zone=q:64k rate=3r/m; limit_conn_zone $g zone=c:1m;
upstream u { zone u 64k; hash $y consistent; server 127.0.0.1:1 weight=2 route=a; server [::1] backup;
 sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=z:1m timeout=1h session_rotate=off fill_limit_minor_log=1%; }
server { listen [::]:80 ssl so_keepalive=1:2:3; ssl_certificate a; ssl_certificate_key b; server_name ~^(?<q>.+)$ .a.b w.*;
 if ($q ~ "(a)") { set $w $1; return 301 /x; } location ^~ /a/ { proxy_pass http://u/b; limit_except GET { deny all; } }
 location ~* \.(x)$ { alias /f/$1; rewrite ^/(.*)$ /y?$1? last; try_files $uri/ @n =404; expires modified -1h; }
 location @n { proxy_pass http://unix:/s:; proxy_redirect ~a b; proxy_cookie_flags ~a secure; error_page 404 =200 /z; } } })conf";

// A few random edits of a configuration that uses much of the language.
std::string Mutate(std::mt19937& random) {
  std::string text = kSeed;
  const auto at = [&] { return random() % text.size(); };
  for (unsigned edits = 1 + random() % 4; edits > 0 && text.size() > 8; --edits) {
    constexpr std::string_view kSigns = "{};\"'\\$#~*@=:-/[](). \n09";
    switch (random() % 4) {
      case 0:
        text.erase(at(), 1 + random() % 6);
        break;
      case 1:
        text.insert(at(), 1, kSigns[random() % kSigns.size()]);
        break;
      case 2:
        text[at()] = static_cast<char>(random());
        break;
      default:
        text.insert(at(), text.substr(at(), 1 + random() % 12));
    }
  }
  return text;
}

// Edited text may name hosts: they must not reach a resolver.
bool MayAskDns(const std::string& text) {
  return text.find("127.0.0.1:1 ") == std::string::npos ||
         text.find("[::1] ") == std::string::npos || text.find("[::]:80 ") == std::string::npos ||
         text.find("http://u/b") == std::string::npos ||
         text.find("http://unix:/s:") == std::string::npos ||
         text.find("\nupstream u {") == std::string::npos;
}

TEST(Fuzz, EditedConfigurationsLoadOrSayWhy) {
  ASSERT_EQ(LoadError(kSeed), "loaded");
  std::mt19937 random(20261122);
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  int loaded = 0, refused = 0;
  while (std::chrono::steady_clock::now() < end) {
    const std::string text = Mutate(random);
    if (MayAskDns(text)) continue;
    const std::string error = LoadError(text);
    EXPECT_FALSE(error.empty()) << text;
    ++(error == "loaded" ? loaded : refused);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

TEST(Rewrite, ScriptKeepsTheOrderWritten) {
  const auto config = MustLoad(InLocation(
      "set $a 1; if ($a = 1) { return 403; } rewrite ^/x(.*)$ /y$1? break; return 200 ok;"));
  const RewriteScript& script = FirstLocation(*config).rewrite;
  using Kind = RewriteStep::Kind;
  ASSERT_EQ(script.size(), 4u);
  EXPECT_EQ(script[0].kind, Kind::kSet);
  EXPECT_EQ(script[1].kind, Kind::kIf);
  EXPECT_EQ(script[1].condition.kind, Condition::Kind::kEqual);
  EXPECT_EQ(script[1].then[0].reply.status, 403);
  EXPECT_EQ(script[2].flag, RewriteStep::Flag::kBreak);
  EXPECT_TRUE(script[2].drops_args);
  EXPECT_EQ(script[3].reply.text.constant(), "ok");
}

}  // namespace
}  // namespace limpet::conf
