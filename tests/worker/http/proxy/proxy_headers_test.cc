#include "worker/http/proxy/proxy_headers.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/conf/support.h"

namespace limpet::worker {
namespace {

using conf::FakeReader;

// Remembers what is written.
class Recorder final : public Transport {
 public:
  explicit Recorder(Loop& loop) : Transport(loop, UniqueFd()) {}
  Io Read(char*, size_t, size_t*) override { return Io::kWouldBlock; }
  Io Writev(const iovec* pieces, int count, bool, size_t* n) override {
    const size_t before = text.size();
    for (int i = 0; i < count; ++i) {
      text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    *n = text.size() - before;
    return Io::kOk;
  }
  Io SendFile(int, off_t, size_t, size_t*) override { return Io::kWouldBlock; }
  bool StillIdle() override { return true; }

  std::string text;
};

// A request as routing leaves it, for the first location of a configuration.
class ProxyHeadersTest : public testing::Test {
 protected:
  void Load(const std::string& location) {
    config_ = conf::MustLoad(conf::InServer(location));
    request_.location = &conf::FirstLocation(*config_);
    request_.head = &head_;
    Method("GET");
    Uri("/app/x");
  }
  void Method(std::string_view name) {
    head_.method_name = request_.method_name = name;
    head_.method = request_.method = proto::LookupMethod(name);
  }
  void Uri(std::string_view sent) {
    request_.unparsed_uri = sent;
    request_.uri = sent.substr(0, sent.find('?'));
    request_.args = sent.substr(std::min(sent.size(), request_.uri.size() + 1));
  }
  std::string Write(UpstreamBody body = {}) {
    FakeReader reader(config_->http->variables);
    reader.values = values_;
    const conf::ProxySettings& proxy = request_.location->proxy;
    OutputQueue queue(pool_);
    const std::string_view unfit = WriteUpstreamRequest(
        reader, request_, proxy, ProxyPlan(*request_.location), "up:81", "/u", body, &queue);
    if (!unfit.empty()) return "unfit: " + std::string(unfit);
    Recorder recorder(loop_);
    queue.Flush(recorder);
    return recorder.text;
  }
  std::string UriFor(std::string_view pass_uri) {
    return std::string(UpstreamUri(request_, {.host = "up", .uri = pass_uri}, arena_));
  }

  Loop loop_;
  BlockPool pool_;
  Arena arena_;
  std::unique_ptr<const conf::Config> config_;
  proto::RequestHead head_;
  Request request_;
  std::map<std::string, std::string> values_;
};

constexpr const char* kPlain = "location /app/ { proxy_pass http://127.0.0.1:81; }";

TEST_F(ProxyHeadersTest, SendsTheOriginalUriWhenProxyPassHasNone) {
  Load(kPlain);
  Uri("/app/a%20b?x=%41");
  EXPECT_EQ(UriFor(""), "/app/a%20b?x=%41");
}

TEST_F(ProxyHeadersTest, ReplacesTheLocationsPrefix) {
  Load(kPlain);
  Uri("/app/x?q=1");
  EXPECT_EQ(UriFor("/other/"), "/other/x?q=1");
  EXPECT_EQ(UriFor("/"), "/x?q=1");
}

TEST_F(ProxyHeadersTest, EscapesADecodedUriAgain) {
  Load(kPlain);
  request_.unparsed_uri = "/app/a%20b%3F";
  request_.uri = "/app/a b?";
  EXPECT_EQ(UriFor("/o/"), "/o/a%20b%3F");
}

TEST_F(ProxyHeadersTest, SendsARewrittenUriWhole) {
  Load(kPlain);
  request_.uri = "/elsewhere";
  request_.uri_is_original = false;
  request_.under_location = false;  // rewrite … break
  EXPECT_EQ(UriFor("/o/"), "/elsewhere");
  EXPECT_EQ(UriFor(""), "/elsewhere");
}

TEST_F(ProxyHeadersTest, NoUriCanAddALineToTheRequest) {
  Load(kPlain);
  request_.uri = "/app/x\r\nEvil: 1";
  request_.uri_is_original = false;
  EXPECT_EQ(UriFor(""), "/app/x%0D%0AEvil:%201");
  EXPECT_EQ(UpstreamUri(request_, {.host = "up", .uri = "/a\r\nb", .uri_is_whole = true}, arena_),
            "/a%0D%0Ab");
  request_.uri = "/app/x";
  request_.args = "q=/a HTTP/1.1\r\nEvil: \x7f\xC3\xA9";  // set $args …$uri
  EXPECT_EQ(UriFor(""), "/app/x?q=/a%20HTTP/1.1%0D%0AEvil:%20%7F\xC3\xA9");
}

TEST_F(ProxyHeadersTest, CopiesWhatIsNotHopByHop) {
  Load(kPlain);
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"Host", "example.com"},
                                                                  {"Connection", "keep-alive"},
                                                                  {"Keep-Alive", "5"},
                                                                  {"TE", "trailers"},
                                                                  {"Transfer-Encoding", "chunked"},
                                                                  {"Upgrade", "websocket"},
                                                                  {"Expect", "100-continue"},
                                                                  {"Proxy-Connection", "close"},
                                                                  {"Content-Length", "7"},
                                                                  {"X-One", "1"},
                                                                  {"x-two", "2"}}) {
    head_.headers.Add(name, value);
  }
  EXPECT_EQ(Write(), "GET /u HTTP/1.1\r\nHost: up:81\r\nX-One: 1\r\nx-two: 2\r\n\r\n");
}

TEST_F(ProxyHeadersTest, SetHeaderReplacesAndAnEmptyValueRemoves) {
  Load(
      "location / { proxy_pass http://127.0.0.1:81; proxy_set_header Host $host; "
      "proxy_set_header X-Gone \"\"; proxy_set_header X-Empty $arg_none; "
      "proxy_set_header X-Real $remote_addr; proxy_set_header Connection upgrade; }");
  values_ = {{"host", "h.example"}, {"remote_addr", "9.9.9.9"}};
  head_.headers.Add("X-Gone", "1");
  head_.headers.Add("x-empty", "1");
  head_.headers.Add("x-real", "forged");
  EXPECT_EQ(Write(),
            "GET /u HTTP/1.1\r\nHost: h.example\r\nX-Real: 9.9.9.9\r\nConnection: upgrade\r\n\r\n");
}

TEST_F(ProxyHeadersTest, ABodyIsFramedAsItIsWhateverTheConfigurationSays) {
  for (const char* setting :
       {"Content-Length \"\"", "Content-Length 3", "content-length $arg_n",
        "Transfer-Encoding \"\"", "Transfer-Encoding chunked", "transfer-encoding identity"}) {
    SCOPED_TRACE(setting);
    Load(std::string("location / { proxy_pass http://127.0.0.1:81; proxy_set_header ") + setting +
         "; }");
    values_ = {{"arg_n", "9"}};
    EXPECT_EQ(Write({.length = 5}), "GET /u HTTP/1.1\r\nHost: up:81\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(Write({.chunked = true}),
              "GET /u HTTP/1.1\r\nHost: up:81\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(Write(), "GET /u HTTP/1.1\r\nHost: up:81\r\n\r\n");
  }
}

TEST_F(ProxyHeadersTest, AnEmptyBodyNeedNotSayItsLength) {
  const std::string pass = "location / { proxy_pass http://127.0.0.1:81; ";
  Load(pass + "proxy_set_header Content-Length \"\"; }");
  EXPECT_EQ(Write({.length = 0}), "GET /u HTTP/1.1\r\nHost: up:81\r\n\r\n");
  Load(pass + "}");
  EXPECT_EQ(Write({.length = 0}), "GET /u HTTP/1.1\r\nHost: up:81\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(ProxyHeadersTest, ConnectionCannotTakeAwayWhatFramesTheMessage) {
  Load(
      "location / { proxy_pass http://127.0.0.1:81; proxy_set_header Connection $http_connection; "
      "}");
  for (const char* value : {"close, Content-Length", "transfer-encoding", "upgrade,HOST"}) {
    values_ = {{"http_connection", value}};
    EXPECT_EQ(Write({.length = 5}), "GET /u HTTP/1.1\r\nHost: up:81\r\nContent-Length: 5\r\n\r\n");
  }
  values_ = {{"http_connection", "keep-alive, Upgrade"}};
  EXPECT_EQ(Write(), "GET /u HTTP/1.1\r\nHost: up:81\r\nConnection: keep-alive, Upgrade\r\n\r\n");
}

TEST_F(ProxyHeadersTest, AValueCannotBecomeALine) {
  Load("location / { proxy_pass http://127.0.0.1:81; proxy_set_header X $uri; }");
  values_ = {{"uri", "/a\r\nEvil: 1"}};
  EXPECT_EQ(Write(), "unfit: X");
  values_ = {{"uri", "/ab\x01"}};
  EXPECT_EQ(Write(), "unfit: X");
  values_ = {{"uri", "/a\tb"}};
  EXPECT_EQ(Write(), "GET /u HTTP/1.1\r\nHost: up:81\r\nX: /a\tb\r\n\r\n");
}

TEST_F(ProxyHeadersTest, AMethodIsAToken) {
  Load("location / { proxy_pass http://127.0.0.1:81; proxy_method $arg_m; }");
  for (const char* method : {"GET /evil", "GET\r\n", "GE\tT"}) {
    values_ = {{"arg_m", method}};
    EXPECT_EQ(Write(), "unfit: proxy_method") << method;
  }
}

TEST_F(ProxyHeadersTest, FramesTheBodyThatIsSent) {
  Load(kPlain);
  Method("POST");
  EXPECT_NE(Write({.length = 5}).find("\r\nContent-Length: 5\r\n"), std::string::npos);
  EXPECT_NE(Write({.length = 0}).find("\r\nContent-Length: 0\r\n"), std::string::npos);
  const std::string chunked = Write({.length = -1, .chunked = true});
  EXPECT_NE(chunked.find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(chunked.find("Content-Length"), std::string::npos);
}

TEST_F(ProxyHeadersTest, SetBodyReplacesBodyAndLength) {
  Load("location / { proxy_pass http://127.0.0.1:81; proxy_set_body \"b=$arg_x\"; }");
  values_ = {{"arg_x", "12"}};
  EXPECT_EQ(Write({.length = 99}),
            "GET /u HTTP/1.1\r\nHost: up:81\r\nContent-Length: 4\r\n\r\nb=12");
}

TEST_F(ProxyHeadersTest, MethodVersionAndHeadersCanBeSwitched) {
  Load(
      "location / { proxy_pass http://127.0.0.1:81; proxy_method PUT; proxy_http_version 1.0; "
      "proxy_pass_request_headers off; proxy_set_header Host \"\"; }");
  head_.headers.Add("X-One", "1");
  EXPECT_EQ(Write(), "PUT /u HTTP/1.0\r\n\r\n");
}

TEST_F(ProxyHeadersTest, HeadsLargerThanABlockArriveWhole) {
  Load(kPlain);
  const std::string large(9000, 'v');
  const std::string medium(1500, 'm');
  std::string expected = "GET /u HTTP/1.1\r\nHost: up:81\r\n";
  for (const std::string* value : {&medium, &large, &medium, &medium, &medium}) {
    head_.headers.Add("X-V", *value);
    expected += "X-V: " + *value + "\r\n";
  }
  EXPECT_EQ(Write(), expected + "\r\n");
}

TEST(ProxyPlan, HidesDefaultsButThosePassed) {
  const auto config =
      conf::MustLoad(conf::InLocation("proxy_pass http://127.0.0.1:81; proxy_pass_header Server; "
                                      "proxy_hide_header X-Secret; proxy_hide_header Etag;"));
  const ProxyPlan plan(conf::FirstLocation(*config));
  const auto hides = [&plan](std::string_view name) {
    return plan.hidden.Has({name, "", proto::LookupHeader(name)});
  };
  EXPECT_TRUE(hides("Date"));
  EXPECT_TRUE(hides("x-accel-redirect"));
  EXPECT_TRUE(hides("X-Pad"));
  EXPECT_TRUE(hides("x-secret"));
  EXPECT_TRUE(hides("ETag"));
  EXPECT_FALSE(hides("Server"));
  EXPECT_FALSE(hides("X-Other"));
}

}  // namespace
}  // namespace limpet::worker
