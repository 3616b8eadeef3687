// session_store { }, and store=, confirm, delete= of `sticky learn`.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kSecret = "0123456789abcdef0123456789abcdef";

// A folder with secrets in it that goes with the test.
class SessionStoreTest : public testing::Test {
 protected:
  SessionStoreTest() : folder_(testing::TempDir() + "limpet_secrets_XXXXXX") {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    key_ = Write("key", kSecret);
  }
  ~SessionStoreTest() override {
    for (const std::string& path : written_) ::unlink(path.c_str());
    ::rmdir(folder_.c_str());
  }

  std::string Write(const std::string& name, const std::string& bytes, mode_t mode = 0600) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << bytes;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    written_.push_back(path);
    return path;
  }

  // A store that is whole but for what `text` adds; its lines are 3 and up.
  std::string Whole(const std::string& text, const std::string& name = "shared") const {
    return "session_store " + name + " {\nserver 127.0.0.1; key_file " + key_ + ";\n" + text +
           "\n}\n";
  }
  static std::string Learn(const std::string& more, const std::string& name = "u") {
    return "upstream " + name +
           " { server 127.0.0.1:1; sticky learn create=$upstream_cookie_s lookup=$cookie_s "
           "zone=z:64k " +
           more + "; }\n";
  }
  static std::string Http(const std::string& text) { return "events {} http {\n" + text + "}"; }

  std::string ErrorOf(const std::string& text) const { return LoadError(Http(Whole(text))); }

  std::string folder_, key_;
  std::vector<std::string> written_;
};

const SessionStore& First(const Config& config) { return config.http->session_stores.at(0); }

TEST_F(SessionStoreTest, HasDefaults) {
  const auto config = MustLoad(Http(Learn("store=shared") + Whole("")));
  ASSERT_EQ(config->http->session_stores.size(), 1u);
  const SessionStore& store = First(*config);
  EXPECT_EQ(store.name, "shared");
  EXPECT_EQ(store.declared_at, "t.conf:3");
  ASSERT_EQ(store.servers.size(), 1u);
  EXPECT_EQ(store.servers[0].name, "127.0.0.1");
  EXPECT_EQ(store.servers[0].host, "");
  EXPECT_EQ(store.servers[0].port, 6379);
  ASSERT_EQ(store.servers[0].addresses.size(), 1u);
  EXPECT_EQ(store.servers[0].addresses[0].ToString(), "127.0.0.1:6379");
  EXPECT_EQ(store.sentinel, "");
  EXPECT_FALSE(store.tls.on);
  EXPECT_TRUE(store.tls.verify);
  EXPECT_EQ(store.user + store.password, "");
  EXPECT_EQ(store.database, 0);
  EXPECT_EQ(store.keys.size(), 1u);
  EXPECT_EQ(store.prefix, "limpet:");
  EXPECT_EQ(store.connect_timeout, 1s);
  EXPECT_EQ(store.wait, 50ms);
  EXPECT_EQ(store.max_waiting, 1000);
  EXPECT_EQ(store.queue, 65536u);
  EXPECT_EQ(store.resolver, nullptr);
  EXPECT_THAT(config->warnings, IsEmpty());
  EXPECT_EQ(config->http->session_zones[0].store, 0);
  EXPECT_FALSE(config->http->session_zones[0].confirm);
}

TEST_F(SessionStoreTest, TakesAllThatItIsTold) {
  const std::string password = Write("pw", "p a$s;w{rd\n");
  const auto config = MustLoad(
      Http(Learn("store=shared") +
           Whole("server 10.0.0.5:6380; server [::1]:7; user limpet; password_file " + password +
                 "; database 3; prefix my:$x:; connect_timeout 250ms; wait 20ms; max_waiting 7; "
                 "queue 1k; tls on; tls_trusted_certificate ca.pem; tls_certificate c.pem; "
                 "tls_certificate_key k.pem; tls_name redis.example; tls_verify off;")));
  const SessionStore& store = First(*config);
  ASSERT_EQ(store.servers.size(), 3u);
  EXPECT_EQ(store.servers[1].addresses[0].ToString(), "10.0.0.5:6380");
  EXPECT_EQ(store.servers[2].addresses[0].ToString(), "[::1]:7");
  EXPECT_EQ(store.user, "limpet");
  EXPECT_EQ(store.password, "p a$s;w{rd");
  EXPECT_EQ(store.database, 3);
  EXPECT_EQ(store.prefix, "my:$x:");
  EXPECT_EQ(store.connect_timeout, 250ms);
  EXPECT_EQ(store.wait, 20ms);
  EXPECT_EQ(store.max_waiting, 7);
  EXPECT_EQ(store.queue, 1024u);
  EXPECT_TRUE(store.tls.on);
  EXPECT_EQ(store.tls.trusted_certificate, "/nowhere/ca.pem");
  EXPECT_EQ(store.tls.certificate, "/nowhere/c.pem");
  EXPECT_EQ(store.tls.certificate_key, "/nowhere/k.pem");
  EXPECT_EQ(store.tls.name, "redis.example");
  EXPECT_FALSE(store.tls.verify);
  EXPECT_THAT(config->warnings, IsEmpty());
  EXPECT_THAT(config->notices, IsEmpty());
}

TEST_F(SessionStoreTest, PortsOfSentinelsAreTheirOwnWhereverTheMasterIsNamed) {
  const auto config = MustLoad(
      Http(Whole("server 127.0.0.2:1; server unix:/run/redis.sock; sentinel my-master.1_a;")));
  const SessionStore& store = First(*config);
  EXPECT_EQ(store.sentinel, "my-master.1_a");
  EXPECT_EQ(store.servers[0].port, 26379);
  EXPECT_EQ(store.servers[0].addresses[0].ToString(), "127.0.0.1:26379");
  EXPECT_EQ(store.servers[1].addresses[0].ToString(), "127.0.0.2:1");
  EXPECT_EQ(store.servers[2].addresses[0].ToString(), "unix:/run/redis.sock");
}

TEST_F(SessionStoreTest, NamesAreLookedUpAndKept) {
  const auto config = MustLoad(Http(Whole("server localhost:6380; server 127.0.0.2;")));
  const SessionStore& store = First(*config);
  EXPECT_EQ(store.servers[1].name, "localhost:6380");
  EXPECT_EQ(store.servers[1].host, "localhost");
  EXPECT_EQ(store.servers[1].port, 6380);
  ASSERT_FALSE(store.servers[1].addresses.empty());
  EXPECT_EQ(store.servers[1].addresses[0].port(), 6380);
  EXPECT_EQ(store.servers[2].host, "");
  EXPECT_EQ(ErrorOf("server no.such.host.invalid;"),
            "host not found in session_store server \"no.such.host.invalid\" in t.conf:4");
}

TEST_F(SessionStoreTest, AnUnknownNameWaitsForTheResolverOfHttp) {
  const auto config = MustLoad(
      Http(Learn("store=shared") + Whole("server no.such.host.invalid;") + "resolver 127.0.0.1;"));
  const SessionStore& store = First(*config);
  EXPECT_THAT(store.servers[1].addresses, IsEmpty());
  EXPECT_EQ(store.servers[1].host, "no.such.host.invalid");
  ASSERT_NE(store.resolver, nullptr);
  EXPECT_EQ(store.resolver->servers.size(), 1u);
  EXPECT_THAT(config->warnings,
              ElementsAre("[warn] host not found in session_store server \"no.such.host.invalid\": "
                          "it is looked up again at run time in t.conf:5"));
  // A time alone is no resolver.
  EXPECT_EQ(First(*MustLoad(Http("resolver_timeout 1s; " + Whole("")))).resolver, nullptr);
}

// All machines must make the same key of the same file, in all versions to come.
TEST_F(SessionStoreTest, KeysComeFromTheBytesOfTheirFiles) {
  const auto keys = [&](const std::string& text) {
    return First(*MustLoad(Http("session_store s { server 127.0.0.1; " + text + " }"))).keys;
  };
  const SipKey expected = {0x7e, 0xe3, 0xed, 0x7e, 0x80, 0x55, 0xf4, 0xcb,
                           0xbd, 0xf3, 0xc5, 0xf5, 0xbe, 0xf1, 0x31, 0xad};
  EXPECT_THAT(keys("key_file " + key_ + ";"), ElementsAre(expected));
  const std::string with_end = Write("with_end", kSecret + "\n");
  const std::string with_ends = Write("with_ends", kSecret + "\r\n");
  EXPECT_THAT(keys("key_file " + with_end + ";"), ElementsAre(expected));
  EXPECT_THAT(keys("key_file " + with_ends + ";"), ElementsAre(expected));
  const std::string old = Write("old", std::string("\0\1\2\3\4\5\6\7\n\n\n\n\xff\xfe\xfd\xfc", 16));
  const auto both = keys("key_file " + key_ + " " + old + ";");
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0], expected);
  EXPECT_NE(both[1], expected);
  EXPECT_EQ(keys("key_file " + key_ + "; key_file " + old + ";"), both);
  EXPECT_EQ(keys("key_file " + old + "; key_file " + key_ + ";")[1], expected);
}

TEST_F(SessionStoreTest, RefusesWhatItDoesNotUnderstand) {
  const std::string small = Write("small", "0123456789abcde\n");
  const std::string nothing = Write("nothing", "\n");
  const std::string lines = Write("lines", "first\nsecond\n");
  const std::string big = Write("big", std::string(70000, 'x'));
  const std::string a_time = "a time is 500ms, 30s, 1h30m or 30 for seconds in t.conf:4";
  const std::string a_prefix =
      "it is at most 128 printable characters without blanks and braces in t.conf:4";
  const std::pair<std::string, std::string> cases[] = {
      {"server 10.0.0.1:99999;",
       "invalid port in session_store server \"10.0.0.1:99999\": server takes ADDRESS[:PORT] | "
       "unix:PATH in t.conf:4"},
      {"server unix:;",
       "no path in the unix domain socket in session_store server \"unix:\" in t.conf:4"},
      {"server a b;",
       "invalid number of arguments in \"server\" directive: server takes ADDRESS[:PORT] | "
       "unix:PATH in t.conf:4"},
      {"sentinel a; sentinel b;", "\"sentinel\" directive is duplicate in t.conf:4"},
      {"sentinel \"a b\";",
       "\"sentinel\" directive invalid value \"a b\": a master's name has letters, digits, \".\", "
       "\"-\" and \"_\" in t.conf:4"},
      {"tls maybe;",
       "invalid value \"maybe\" in \"tls\" directive, it must be \"on\" or \"off\" in t.conf:4"},
      {"tls_verify maybe;",
       "invalid value \"maybe\" in \"tls_verify\" directive, it must be \"on\" or \"off\" in "
       "t.conf:4"},
      {"tls_name \"\";",
       "\"tls_name\" directive invalid value \"\": a name is not empty in t.conf:4"},
      {"tls_trusted_certificate $host.pem;",
       "\"tls_trusted_certificate\" directive cannot have variables in t.conf:4"},
      {"tls_certificate $host.pem;",
       "\"tls_certificate\" directive cannot have variables in t.conf:4"},
      {"tls_certificate_key \"\";",
       "\"tls_certificate_key\" directive has an empty file name in t.conf:4"},
      {"tls_certificate_key engine:a:b;",
       "loading \"engine:...\" certificate keys is not supported in t.conf:4"},
      {"user \"a b\";",
       "\"user\" directive invalid value \"a b\": a user's name is not empty and has no blanks in "
       "t.conf:4"},
      {"user a b;",
       "invalid number of arguments in \"user\" directive: user takes 1 argument in t.conf:4"},
      {"password_file /nowhere/pw;",
       "open() \"/nowhere/pw\" failed (2: No such file or directory) in t.conf:4"},
      {"password_file \"\";", "\"password_file\" directive has an empty file name in t.conf:4"},
      {"password_file $a;", "\"password_file\" directive cannot have variables in t.conf:4"},
      {"password_file " + folder_ + ";", "\"" + folder_ + "\" is no regular file in t.conf:4"},
      {"password_file " + nothing + ";", "\"" + nothing + "\" holds no password in t.conf:4"},
      {"password_file " + lines + ";", "\"" + lines + "\" holds more than one line in t.conf:4"},
      {"password_file " + big + ";", "\"" + big + "\" is longer than 64k in t.conf:4"},
      {"database -1;",
       "\"database\" directive invalid number \"-1\": it is 0 to 2147483647 in t.conf:4"},
      {"key_file " + small + ";",
       "the key in \"" + small + "\" is shorter than 16 bytes in t.conf:4"},
      {"key_file /nowhere/key;",
       "open() \"/nowhere/key\" failed (2: No such file or directory) in t.conf:4"},
      {"key_file " + key_ + ";\nkey_file " + key_ + ";",
       "\"key_file\" directive has more than 2 files in a session_store in t.conf:5"},
      {"prefix \"a b\";", "\"prefix\" directive invalid value \"a b\": " + a_prefix},
      {"prefix \"{a}\";", "\"prefix\" directive invalid value \"{a}\": " + a_prefix},
      {"connect_timeout soon;", "\"connect_timeout\" directive invalid value \"soon\": " + a_time},
      {"connect_timeout 0;",
       "\"connect_timeout\" directive invalid value \"0\": it is a time above 0, as 1s in "
       "t.conf:4"},
      {"wait soon;", "\"wait\" directive invalid value \"soon\": " + a_time},
      {"wait 0;",
       "\"wait\" directive invalid value \"0\": it is a time above 0 and at most 10s, as 50ms in "
       "t.conf:4"},
      {"wait 50;",
       "\"wait\" directive invalid value \"50\": it is a time above 0 and at most 10s, as 50ms in "
       "t.conf:4"},
      {"max_waiting 0;", "value \"0\" must be equal to or greater than 1 in t.conf:4"},
      {"max_waiting x;",
       "\"max_waiting\" directive invalid number \"x\": it is 1 to 2147483647 in t.conf:4"},
      {"queue 0;",
       "\"queue\" directive invalid value \"0\": it is a number of changes, 1 to 16m, as 64k in "
       "t.conf:4"},
      {"queue 17m;",
       "\"queue\" directive invalid value \"17m\": it is a number of changes, 1 to 16m, as 64k in "
       "t.conf:4"},
      {"max_wating 1;",
       "unknown directive \"max_wating\" (did you mean \"max_waiting\"?) in "
       "t.conf:4"},
      {"weight 1;", "unknown directive \"weight\" in t.conf:4"},
      {"ip_hash;",
       "\"ip_hash\" directive is not allowed here, in session_store: it belongs in upstream in "
       "t.conf:4"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(ErrorOf(text), message) << text;
  EXPECT_EQ(
      LoadError(InLocation("max_waiting 1;")),
      "\"max_waiting\" directive is not allowed here, in location: it belongs in session_store in "
      "t.conf:1");
}

TEST_F(SessionStoreTest, RefusesWhatIsNotWhole) {
  const std::string password = Write("pw", "secret");
  const std::string key = "key_file " + key_ + ";";
  const std::pair<std::string, std::string> cases[] = {
      {"session_store \"\" { server 127.0.0.1; " + key + " }",
       "invalid session_store name \"\" in t.conf:2"},
      {"session_store;", "directive \"session_store\" has no opening \"{\" in t.conf:2"},
      {"session_store s { " + key + " }", "no servers are inside session_store \"s\" in t.conf:2"},
      {"session_store s { server 127.0.0.1; }",
       "no \"key_file\" is inside session_store \"s\" in t.conf:2"},
      {Whole("user a;"),
       "\"user\" requires a \"password_file\" in session_store \"shared\" in t.conf:2"},
      {Whole("sentinel_password_file " + password + ";"),
       "\"sentinel_password_file\" requires \"sentinel\" in session_store \"shared\" in "
       "t.conf:2"},
      {Whole("tls on; tls_certificate a;"),
       "no \"tls_certificate_key\" is inside session_store \"shared\" for its \"tls_certificate\" "
       "in t.conf:2"},
      {Whole("tls on; tls_certificate_key a;"),
       "no \"tls_certificate\" is inside session_store \"shared\" for its \"tls_certificate_key\" "
       "in t.conf:2"},
      {Whole("tls on; server unix:/run/redis.sock;"),
       "\"tls on\" in session_store \"shared\" does not go together with server "
       "\"unix:/run/redis.sock\": Redis speaks no TLS there in t.conf:2"},
      {Whole("") + Whole(""), "duplicate session_store \"shared\" in t.conf:6"},
      {Learn("store=shared") + Whole("") + Whole(""),
       "duplicate session_store \"shared\" in t.conf:7"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(LoadError(Http(text)), message) << text;
  EXPECT_EQ(
      LoadError(Whole("")),
      "\"session_store\" directive is not allowed here, in main: it belongs in http in t.conf:1");
}

TEST_F(SessionStoreTest, WarnsOfWhatDoesNothing) {
  const auto config =
      MustLoad(Http(Learn("store=shared") + Whole("tls_name a;\ntls_verify on; tls off;\n"
                                                  "server 127.0.0.1; key_file " +
                                                  key_ + ";")));
  EXPECT_THAT(config->warnings,
              ElementsAre("[warn] duplicate server \"127.0.0.1\" in t.conf:7",
                          "[warn] \"" + key_ + "\" holds the key once more in t.conf:7",
                          "[warn] \"tls_name\" has no effect without \"tls on\" in t.conf:5",
                          "[warn] \"tls_verify\" has no effect without \"tls on\" in t.conf:6"));
}

TEST_F(SessionStoreTest, WarnsOfSecretsThatEverybodyMayRead) {
  const std::string password = Write("pw", "swordfish", 0644);
  const std::string key = Write("open_key", "a-key-of-sixteen-or-more", 0602);
  const std::string grouped = Write("grouped", "another-key-of-sixteen", 0660);
  const auto config =
      MustLoad(Http("session_store s { server 127.0.0.1;\npassword_file " + password +
                    ";\nkey_file " + key + " " + grouped + "; }" + Learn("store=s")));
  EXPECT_THAT(config->warnings, ElementsAre("[warn] everybody may read \"" + password +
                                                "\", which holds a secret in t.conf:3",
                                            "[warn] everybody may write \"" + key +
                                                "\", which holds a secret in t.conf:4"));
}

TEST_F(SessionStoreTest, AFifoIsNotWaitedFor) {
  const std::string path = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  written_.push_back(path);
  EXPECT_EQ(ErrorOf("password_file " + path + ";"),
            "\"" + path + "\" is no regular file in t.conf:4");
}

TEST_F(SessionStoreTest, ZonesNameItBeforeOrAfterItsBlock) {
  for (const bool first : {false, true}) {
    const std::string blocks = Whole("", "other") + Whole("");
    const std::string learn = Learn("store=shared confirm");
    const auto config = MustLoad(Http(first ? blocks + learn : learn + blocks));
    const SessionZone& zone = config->http->session_zones.at(0);
    ASSERT_GE(zone.store, 0);
    const SessionStore& store = config->http->session_stores.at(static_cast<size_t>(zone.store));
    EXPECT_EQ(store.name, "shared");
    EXPECT_EQ(store.servers.size(), 1u);
    EXPECT_TRUE(zone.confirm);
    EXPECT_THAT(config->notices,
                ElementsAre(testing::MatchesRegex(
                    "session_store \"other\" is used by no \"sticky learn\": store=other does that "
                    "in t.conf:[23]")));
  }
}

TEST_F(SessionStoreTest, SeveralZonesMayUseOne) {
  std::string second = Learn("store=shared", "b");
  second.replace(second.find("zone=z"), 6, "zone=y");
  const auto config = MustLoad(Http(Learn("store=shared") + second + Whole("")));
  EXPECT_EQ(config->http->session_stores.size(), 1u);
  EXPECT_THAT(config->http->session_zones,
              ElementsAre(Field(&SessionZone::store, 0), Field(&SessionZone::store, 0)));
  EXPECT_EQ(MustLoad(Http(Learn("")))->http->session_zones.at(0).store, -1);
}

TEST_F(SessionStoreTest, WhoSharesAZoneSharesItsStore) {
  const std::pair<std::string, std::string> same[] = {
      {"store=shared", "store=shared"}, {"store=shared confirm", "confirm store=shared"}};
  for (const auto& [a, b] : same) MustLoad(Http(Learn(a) + Learn(b, "v") + Whole("")));
  const std::string stores = Whole("") + Whole("", "other");
  const std::pair<std::string, std::string> different[] = {
      {Learn("store=shared") + Learn("store=other", "v"), "store"},
      {Learn("store=shared") + Learn("", "v"), "store"},
      {Learn("") + Learn("store=shared", "v"), "store"},
      {Learn("store=shared") + Learn("store=shared confirm", "v"), "confirm"},
  };
  for (const auto& [text, what] : different) {
    EXPECT_EQ(LoadError(Http(text + stores)),
              "sticky zone \"z\" has another " + what + " than in upstream \"u\" in t.conf:3");
  }
}

TEST_F(SessionStoreTest, RefusesZonesThatNameItWrongly) {
  const std::pair<std::string, std::string> cases[] = {
      {Learn("store=shard") + Whole(""),
       "session_store \"shard\" is not defined (did you mean \"shared\"?) in t.conf:2"},
      {"\n" + Learn("store=elsewhere") + Whole(""),
       "session_store \"elsewhere\" is not defined in t.conf:3"},
      {Learn("store=elsewhere"), "session_store \"elsewhere\" is not defined in t.conf:2"},
      {Learn("store="), "\"sticky\" directive store name is not specified in t.conf:2"},
      {Learn("store=a store=b"), "\"sticky\" directive duplicate store in t.conf:2"},
      {Learn("store=a confirm confirm"), "\"sticky\" directive duplicate confirm in t.conf:2"},
      {Learn("confirm"),
       "\"sticky\" directive \"confirm\" parameter requires \"store\" in "
       "t.conf:2"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(LoadError(Http(text)), message) << text;
  EXPECT_THAT(LoadError(Http(Learn("store=a confirm=on"))),
              testing::StartsWith("unknown parameter \"confirm=on\": sticky takes "));
  EXPECT_THAT(LoadError(Http(Learn("store"))),
              testing::StartsWith("unknown parameter \"store\": sticky takes "));
}

TEST_F(SessionStoreTest, DeleteEndsSessionsWithAStoreOrWithout) {
  for (const std::string& store : {std::string(), std::string("store=shared ")}) {
    const auto config = MustLoad(Http(
        Learn(store + "delete=$upstream_http_x_logout delete=$upstream_cookie_gone") + Whole("")));
    const auto& ends = config->http->upstreams.at(0)->sticky.learn.ends;
    ASSERT_EQ(ends.size(), 2u);
    EXPECT_EQ(ends[0].source(), "$upstream_http_x_logout");
    EXPECT_EQ(ends[1].source(), "$upstream_cookie_gone");
    EXPECT_THAT(config->warnings, IsEmpty());
  }
  EXPECT_THAT(MustLoad(Http(Learn("")))->http->upstreams.at(0)->sticky.learn.ends, IsEmpty());
  EXPECT_EQ(LoadError(Http(Learn("delete=1"))),
            "\"sticky\" directive missing variable in the \"delete\" parameter in t.conf:2");
  EXPECT_EQ(LoadError(Http(Learn("delete=$nope"))), "unknown \"nope\" variable in t.conf:2");
}

TEST_F(SessionStoreTest, OtherWaysToShareSessionsNameIt) {
  EXPECT_THAT(MustLoad(Http(Learn("sync")))->warnings,
              ElementsAre("[warn] \"sync\" is left out: a \"session_store\" shares sessions, write "
                          "store=NAME in t.conf:2"));
  EXPECT_EQ(LoadError(Http("zone_sync;")),
            "unknown directive \"zone_sync\": sessions are shared through Redis: write "
            "session_store in http, and store= of sticky learn in t.conf:2");
}

// Whatever goes wrong with a secret, its bytes are in no message.
TEST_F(SessionStoreTest, NoMessageHasASecret) {
  const std::string password = Write("pw", "swordfish\nswordfish", 0666);
  const std::string key = Write("short", "swordfish", 0666);
  for (const std::string& line :
       {"password_file " + password, "sentinel_password_file " + password, "key_file " + key}) {
    const std::string message = ErrorOf(line + ";");
    EXPECT_THAT(message, HasSubstr("t.conf:4"));
    EXPECT_THAT(message, testing::Not(HasSubstr("swordfish")));
  }
}

}  // namespace
}  // namespace limpet::conf
