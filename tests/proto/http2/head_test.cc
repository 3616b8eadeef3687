// What a HEADERS block may be (RFC 9113 8.2, 8.3), and what is answered to others: nginx's answers.
#include "proto/http2/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/counting_memory.h"

namespace limpet::proto {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kGet = {
    {":method", "GET"}, {":scheme", "https"}, {":path", "/a?b"}, {":authority", "x.test"}};

class Http2Head : public testing::Test {
 protected:
  HeadFault Build(const Fields& fields) {
    builder_.Begin(rules_, &memory_);
    for (const auto& [name, value] : fields) {
      // As a decoder's buffer: gone after the call.
      std::string n = name, v = value;
      builder_.Add(n, v);
      n.assign(n.size(), '!');
      v.assign(v.size(), '!');
    }
    return builder_.Finish();
  }
  HeadFault BuildGet(const Fields& more) {
    Fields fields = kGet;
    fields.insert(fields.end(), more.begin(), more.end());
    return Build(fields);
  }
  // "STATUS: reason" of a refused request; "fine", "calm", "protocol".
  std::string Verdict(const Fields& fields) {
    switch (Build(fields)) {
      case HeadFault::kNone:
        return "fine";
      case HeadFault::kCalm:
        return "calm";
      case HeadFault::kProtocol:
        return "protocol";
      case HeadFault::kAnswer:
        break;
    }
    return std::to_string(builder_.error().status) + ": " + std::string(builder_.error().reason);
  }
  std::string VerdictOfGet(const Fields& more) {
    Fields fields = kGet;
    fields.insert(fields.end(), more.begin(), more.end());
    return Verdict(fields);
  }
  std::string_view Value(std::string_view name) {
    const Header* header = builder_.head().headers.Find(name);
    return header != nullptr ? header->value : "(none)";
  }

  Http2HeadRules rules_;
  CountingMemory memory_;
  RequestHeadBuilder builder_;
};

TEST_F(Http2Head, IsARequestHead) {
  ASSERT_EQ(BuildGet({{"user-agent", "t"}, {"accept", "*/*"}}), HeadFault::kNone);
  const RequestHead& head = builder_.head();
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.method_name, "GET");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.request_line, "GET /a?b HTTP/2.0");
  EXPECT_EQ(head.protocol, "HTTP/2.0");
  EXPECT_EQ(head.version_major, 2);
  EXPECT_TRUE(head.is_http11());
  EXPECT_TRUE(head.keep_alive());
  EXPECT_EQ(Value("host"), "x.test");
  EXPECT_EQ(Value("user-agent"), "t");
  EXPECT_EQ(head.headers.size(), 3u);
  EXPECT_EQ(builder_.scheme(), "https");
  EXPECT_EQ(builder_.authority(), "x.test");
}

TEST_F(Http2Head, IsBuiltAnewEachTime) {
  ASSERT_EQ(BuildGet({{"x-a", "1"}, {"cookie", "a=1"}}), HeadFault::kNone);
  ASSERT_EQ(BuildGet({}), HeadFault::kNone);
  EXPECT_EQ(builder_.head().headers.size(), 1u);
  EXPECT_EQ(Verdict({{":method", "GET"}}), "400: client sent no :scheme header");
  EXPECT_EQ(builder_.head().request_line, "");
}

TEST_F(Http2Head, PseudoFieldsComeOnceFirstAndWhole) {
  const std::pair<Fields, const char*> cases[] = {
      {{{":scheme", "http"}, {":path", "/"}, {":authority", "x"}},
       "400: client sent no :method header"},
      {{{":method", "GET"}, {":path", "/"}, {":authority", "x"}},
       "400: client sent no :scheme header"},
      {{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {"a", "b"}},
       "400: client sent no :path header"},
      {{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}},
       "400: client sent neither \":authority\" nor \"Host\" header"},
      {{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", ""}},
       "400: client sent invalid \":authority\" header"},
      {{{":method", ""}}, "400: client sent empty pseudo-header"},
      {{{":path", ""}}, "400: client sent empty pseudo-header"},
      {{{":method", "GET"}, {":method", "GET"}}, "400: client sent duplicate pseudo-header"},
      {{{":authority", ""}, {":authority", "x"}}, "400: client sent duplicate pseudo-header"},
      {{{":status", "200"}}, "400: client sent unknown pseudo-header"},
      {{{":protocol", "websocket"}}, "400: client sent unknown pseudo-header"},
      {{{":", "x"}}, "400: client sent unknown pseudo-header"},
      {{{":Method", "GET"}}, "400: client sent unknown pseudo-header"},
      {{{":method", "GET"}, {":scheme", "http"}, {"a", "b"}, {":path", "/"}},
       "400: client sent no :path header"},
  };
  for (const auto& [fields, verdict] : cases) EXPECT_EQ(Verdict(fields), verdict);
  EXPECT_EQ(VerdictOfGet({{"a", "b"}, {":path", "/"}}),
            "400: client sent out of order pseudo-headers");
  // Also behind one that is dropped.
  EXPECT_EQ(VerdictOfGet({{"a_b", "b"}, {":path", "/"}}),
            "400: client sent out of order pseudo-headers");
}

TEST_F(Http2Head, PseudoFieldsHaveTheirGrammar) {
  const auto with = [](const char* name, const std::string& value) {
    Fields fields = kGet;
    for (auto& field : fields) {
      if (field.first == name) field.second = value;
    }
    return fields;
  };
  for (const std::string path : {"t1.html", "http://x/", "/a b", "/a\x02", "/a\x7f", "*", "?a"}) {
    EXPECT_NE(Verdict(with(":path", path)), "fine") << path;
  }
  for (const std::string path : {"/", "//", "/%20", "/\xC3\xA4", "/a#b"})
    EXPECT_EQ(Verdict(with(":path", path)), "fine") << path;
  for (const std::string method : {"get", "GE T", "G\tT", "GET/", "GET\r\nX: y"})
    EXPECT_NE(Verdict(with(":method", method)), "fine") << method;
  for (const std::string method : {"PURGE", "M-SEARCH", "A_B"})
    EXPECT_EQ(Verdict(with(":method", method)), "fine") << method;
  for (const std::string scheme : {"1http", "ht tp", "http:", "http\n"})
    EXPECT_NE(Verdict(with(":scheme", scheme)), "fine") << scheme;
  EXPECT_EQ(Verdict(with(":scheme", "coap+tcp")), "fine");
  for (const std::string authority : {"x\r\nA: b", " x", "x\ny"})
    EXPECT_NE(Verdict(with(":authority", authority)), "fine") << authority;
}

TEST_F(Http2Head, OptionsMayAskForTheServer) {
  EXPECT_EQ(
      Verdict({{":method", "OPTIONS"}, {":scheme", "http"}, {":path", "*"}, {":authority", "x"}}),
      "fine");
  EXPECT_EQ(builder_.head().target, "*");
}

TEST_F(Http2Head, MethodsThatAProxyDoesNotServe) {
  EXPECT_EQ(Verdict({{":method", "CONNECT"}, {":authority", "x:443"}}),
            "405: client sent CONNECT method");
  EXPECT_EQ(builder_.head().request_line, "CONNECT x:443 HTTP/2.0");
  EXPECT_EQ(
      Verdict({{":method", "TRACE"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}}),
      "405: client sent TRACE method");
}

TEST_F(Http2Head, NamesThatHttp1WouldReadOtherwiseAreRefused) {
  for (const std::string name :
       {"x:foo", "x foo", "foo\x02", "X-Foo", "foo\r\nbar", " foo", "foo ", "foo\x7f", "foo\n"}) {
    EXPECT_EQ(VerdictOfGet({{name, "bar"}}), "400: client sent invalid header name") << name;
  }
  EXPECT_EQ(VerdictOfGet({{"", "bar"}}), "protocol");
}

TEST_F(Http2Head, UnusualNamesAreDroppedOrKept) {
  const Fields unusual = {{"x_foo", "1"}, {"a.b", "2"}, {"a\"b", "3"}, {"referer", "see"}};
  EXPECT_EQ(VerdictOfGet(unusual), "fine");
  EXPECT_EQ(builder_.ignored_fields(), 3u);
  EXPECT_EQ(builder_.first_ignored_name(), "x_foo");
  EXPECT_EQ(Value("x_foo"), "(none)");
  EXPECT_EQ(Value("referer"), "see");

  rules_.limits.underscores_in_headers = true;
  EXPECT_EQ(VerdictOfGet(unusual), "fine");
  EXPECT_EQ(Value("x_foo"), "1");
  EXPECT_EQ(builder_.ignored_fields(), 2u);

  rules_.limits = {.ignore_invalid_headers = false};
  EXPECT_EQ(VerdictOfGet({{"x_foo", "1"}, {"a.b", "2"}}), "fine");
  EXPECT_EQ(Value("x_foo"), "1");
  EXPECT_EQ(Value("a.b"), "2");
  EXPECT_EQ(VerdictOfGet(unusual), "400: client sent invalid header name");  // a quote is no token
}

TEST_F(Http2Head, WhiteSpaceAroundAValueIsNoPartOfIt) {
  for (const char* value : {" a b", "a b ", "\ta b", " \t a b\t "}) {
    EXPECT_EQ(VerdictOfGet({{"x-foo", value}}), "fine");
    EXPECT_EQ(Value("x-foo"), "a b");
  }
  EXPECT_EQ(VerdictOfGet({{"cookie", " a=1 "}, {"cookie", "b=2"}}), "fine");
  EXPECT_EQ(Value("cookie"), "a=1; b=2");
  EXPECT_EQ(VerdictOfGet({{"content-length", " 5 "}}), "fine");
  EXPECT_EQ(builder_.framing().length, 5u);
  EXPECT_EQ(VerdictOfGet({{"x-foo", " "}}), "fine");
  EXPECT_EQ(Value("x-foo"), "");
}

TEST_F(Http2Head, NamesAreJudgedByTheServerThatIsAskedFor) {
  builder_.Begin(rules_, &memory_);
  for (const auto& [name, value] : kGet) builder_.Add(name, value);
  HeadLimits limits = rules_.limits;
  limits.underscores_in_headers = true;
  limits.max_headers = 2;
  builder_.UseFieldRules(limits);
  EXPECT_EQ(builder_.Add("x_y", "1"), HeadFault::kNone);
  EXPECT_EQ(builder_.Add("b", "2"), HeadFault::kNone);
  EXPECT_EQ(builder_.Add("c", "3"), HeadFault::kAnswer);
  builder_.Finish();
  EXPECT_EQ(Value("x_y"), "1");
  EXPECT_EQ(Value("host"), "x.test") << "for the log";
}

TEST_F(Http2Head, ValuesThatSplitALineAreRefused) {
  for (const std::string& value :
       {std::string("x-bar\r\nreferer:see-this"), std::string("a\nb"), std::string("a\rb"),
        std::string("a\0b", 3), std::string("a\x01"), std::string("\x7f"), std::string(" \n"),
        std::string("a\r ")}) {
    EXPECT_EQ(VerdictOfGet({{"x-foo", value}}), "400: client sent header with invalid value");
    EXPECT_EQ(VerdictOfGet({{"cookie", value}}), "400: client sent header with invalid value");
  }
  for (const std::string value : {"", "a b", "a\tb", "\xC3\xA4"})
    EXPECT_EQ(VerdictOfGet({{"x-foo", value}}), "fine");
}

TEST_F(Http2Head, FieldsOfAConnectionAreRefused) {
  for (const char* name :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    EXPECT_THAT(VerdictOfGet({{name, "close"}}), testing::StartsWith("400: client sent \""))
        << name;
  }
  EXPECT_EQ(VerdictOfGet({{"te", "gzip"}}), "400: client sent invalid \"TE\" header");
  EXPECT_EQ(VerdictOfGet({{"te", "trailers, gzip"}}), "400: client sent invalid \"TE\" header");
  EXPECT_EQ(VerdictOfGet({{"te", "trailers"}, {"te", "trailers"}}),
            "400: client sent invalid \"TE\" header");
  EXPECT_EQ(VerdictOfGet({{"te", "trailers"}}), "fine");
}

TEST_F(Http2Head, HostIsTheAuthority) {
  const Fields bare = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}};
  Fields fields = bare;
  fields.emplace_back("host", "y.test:8080");
  EXPECT_EQ(Verdict(fields), "fine");
  EXPECT_EQ(Value("host"), "y.test:8080");
  fields.emplace_back("host", "y.test:8080");
  EXPECT_EQ(Verdict(fields), "400: client sent duplicate host header");
  fields = bare;
  fields.emplace_back("host", "");
  EXPECT_EQ(Verdict(fields), "400: client sent neither \":authority\" nor \"Host\" header");

  EXPECT_EQ(VerdictOfGet({{"host", "x.test"}}), "fine");
  EXPECT_EQ(builder_.head().headers.Count(HeaderId::kHost), 1u);
  for (const char* other : {"y.test", "x.test:80", "X.test"}) {
    EXPECT_EQ(VerdictOfGet({{"host", other}}),
              "400: client sent \":authority\" and \"Host\" headers with different values");
  }
}

TEST_F(Http2Head, CrumbsMakeOneCookie) {
  ASSERT_EQ(BuildGet({{"cookie", "a=1"}, {"x", "y"}, {"cookie", ""}, {"cookie", "b=2; c=3"}}),
            HeadFault::kNone);
  EXPECT_EQ(Value("cookie"), "a=1; b=2; c=3");
  EXPECT_EQ(builder_.head().headers.Count(HeaderId::kCookie), 1u);
  ASSERT_EQ(BuildGet({{"cookie", "a=1"}, {"cookie", ""}}), HeadFault::kNone);
  EXPECT_EQ(Value("cookie"), "a=1");
  ASSERT_EQ(BuildGet({{"cookie", ""}}), HeadFault::kNone);
  EXPECT_EQ(Value("cookie"), "(none)");
}

TEST_F(Http2Head, LengthsAreNumbersAndComeOnce) {
  EXPECT_EQ(VerdictOfGet({{"content-length", "0"}}), "fine");
  EXPECT_EQ(VerdictOfGet({{"content-length", "9223372036854775807"}}), "fine");
  for (const char* value : {"", "+1", "-1", "1 2", "0x1", "1,1", "9223372036854775808"}) {
    EXPECT_EQ(VerdictOfGet({{"content-length", value}}),
              "400: client sent invalid \"Content-Length\" header");
  }
  EXPECT_EQ(VerdictOfGet({{"content-length", "1"}, {"content-length", "1"}}),
            "400: client sent duplicate \"Content-Length\" header");
  EXPECT_EQ(VerdictOfGet({{"authorization", "a"}, {"authorization", "b"}}),
            "400: client sent duplicate header line");
}

TEST_F(Http2Head, FieldsBeyondMaxHeadersAreRefusedAtTheEnd) {
  rules_.limits.max_headers = 5;
  Fields more;
  for (int i = 0; i < 5; ++i) more.emplace_back("x-blah", "a");
  more.emplace_back("cookie", "a");  // does not count, as in nginx
  EXPECT_EQ(VerdictOfGet(more), "fine");
  more.emplace_back("x-blah", "a");
  EXPECT_EQ(VerdictOfGet(more), "494: client sent too many header lines");
  EXPECT_EQ(builder_.head().request_line, "GET /a?b HTTP/2.0");  // for the log
}

TEST_F(Http2Head, BytesBeyondTheBuffersEndTheConnection) {
  rules_.limits = {.max_line = 512, .max_total = 512};
  // Names and values count, of all fields: 43 bytes are those of kGet.
  const size_t used = (BuildGet({}), builder_.size());
  EXPECT_EQ(VerdictOfGet({{"longname", std::string(512 - 8 - used, 'x')}}), "fine");
  EXPECT_EQ(VerdictOfGet({{"longname", std::string(513 - 8 - used, 'x')}}), "calm");
  rules_.limits = {.max_line = 512, .max_total = 4096};
  EXPECT_EQ(VerdictOfGet({{"longname", std::string(512, 'x')}}), "fine");
  EXPECT_EQ(VerdictOfGet({{"longname", std::string(513, 'x')}}), "calm");
  EXPECT_EQ(VerdictOfGet({{std::string(513, 'x'), ""}}), "calm");
  EXPECT_EQ(builder_.error().status, 494);
}

TEST_F(Http2Head, ABombIsCountedAndNotStored) {
  rules_.limits = {.max_line = 4096, .max_total = 16384};
  builder_.Begin(rules_, &memory_);
  for (const auto& [name, value] : kGet) builder_.Add(name, value);
  const std::string value(4000, 'x');
  HeadFault fault = HeadFault::kNone;
  for (int i = 0; i < 100000; ++i) fault = builder_.Add("x-bomb", value);
  EXPECT_EQ(fault, HeadFault::kCalm);
  EXPECT_LE(memory_.given, 2 * rules_.limits.max_total);
  // A refused request counts on, and stores nothing more.
  memory_.given = 0;
  builder_.Begin(rules_, &memory_);
  builder_.Add(":nonsense", "x");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(builder_.Add("x-bomb", value), HeadFault::kAnswer);
  EXPECT_LE(memory_.given, 128u);
  EXPECT_EQ(builder_.Add("x-bomb", value), HeadFault::kCalm);
}

TEST_F(Http2Head, CrumbsCostNoMoreThanTheirBytes) {
  rules_.limits = {.max_line = 4096, .max_total = 16384};
  builder_.Begin(rules_, &memory_);
  for (const auto& [name, value] : kGet) builder_.Add(name, value);
  while (builder_.size() + 7 <= rules_.limits.max_total) builder_.Add("cookie", "a");
  EXPECT_EQ(builder_.Finish(), HeadFault::kNone);
  EXPECT_LE(memory_.given, 2 * rules_.limits.max_total);
}

Fields Connect(const char* protocol) {
  return {{":method", "CONNECT"}, {":protocol", protocol},  {":scheme", "https"},
          {":path", "/chat"},     {":authority", "x.test"}, {"sec-websocket-version", "13"}};
}

TEST_F(Http2Head, ExtendedConnectBecomesAnUpgrade) {
  rules_.websocket = true;
  ASSERT_EQ(Build(Connect("websocket")), HeadFault::kNone);
  EXPECT_TRUE(builder_.is_websocket());
  const RequestHead& head = builder_.head();
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.method_name, "GET");
  EXPECT_EQ(head.target, "/chat");
  EXPECT_EQ(head.request_line, "CONNECT /chat HTTP/2.0");
  EXPECT_TRUE(head.connection.upgrade);
  EXPECT_EQ(Value("upgrade"), "websocket");
  EXPECT_EQ(Value("connection"), "Upgrade");
  EXPECT_EQ(Value("sec-websocket-version"), "13");
  EXPECT_EQ(Value("host"), "x.test");
}

TEST_F(Http2Head, ExtendedConnectHasItsRules) {
  EXPECT_EQ(Verdict(Connect("websocket")), "400: client sent unknown pseudo-header");
  rules_.websocket = true;
  EXPECT_EQ(Verdict(Connect("connect-udp")), "501: client sent unknown :protocol header");
  EXPECT_FALSE(builder_.is_websocket());
  for (const char* missing : {":scheme", ":path", ":authority"}) {
    Fields fields = Connect("websocket");
    std::erase_if(fields, [&](const auto& field) { return field.first == missing; });
    EXPECT_THAT(Verdict(fields), testing::StartsWith("400: ")) << missing;
  }
  Fields fields = Connect("websocket");
  fields[0].second = "GET";
  EXPECT_EQ(Verdict(fields), "400: client sent :protocol header without CONNECT method");
  fields = Connect("websocket");
  fields.emplace_back("content-length", "5");
  EXPECT_EQ(Verdict(fields), "400: client sent CONNECT request with body");
}

TEST(Http2Trailers, HaveNoFieldsOfTheHead) {
  EXPECT_EQ(TrailerFault("x-checksum", "1"), "");
  EXPECT_EQ(TrailerFault("grpc-status", "0"), "");
  for (const char* name : {"", ":path", "X-A", "a b", "a:b", "content-length", "transfer-encoding",
                           "host", "connection", "te", "upgrade"}) {
    EXPECT_NE(TrailerFault(name, "1"), "") << name;
  }
  EXPECT_NE(TrailerFault("x", "a\r\nb: c"), "");
  EXPECT_EQ(TrailerFault("x", " a"), "");
}

}  // namespace
}  // namespace limpet::proto
