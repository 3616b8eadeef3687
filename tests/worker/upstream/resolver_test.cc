// The resolver against a name server of the test's own, on the same loop.
#include "worker/upstream/resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace limpet::worker {
namespace {

std::string U16(unsigned value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

std::string EncodeName(std::string_view name) {
  std::string out;
  for (const std::string_view label : Split(name, '.')) {
    out += static_cast<char>(label.size());
    out += label;
  }
  return out + '\0';
}

std::string V4(const char* text) {
  char bytes[4];
  EXPECT_EQ(::inet_pton(AF_INET, text, bytes), 1);
  return {bytes, sizeof bytes};
}

std::string V6(const char* text) {
  char bytes[16];
  EXPECT_EQ(::inet_pton(AF_INET6, text, bytes), 1);
  return {bytes, sizeof bytes};
}

std::string Srv(unsigned priority, unsigned weight, unsigned port, std::string_view target) {
  return U16(priority) + U16(weight) + U16(port) + EncodeName(target);
}

class NameServer {
 public:
  explicit NameServer(Loop& loop, const SocketAddress& at = *SocketAddress::ParseIp("127.0.0.1", 0))
      : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        watch_(loop, fd_.get(), Callback::To<&NameServer::OnReadable>(this)) {
    address_ = at;
    EXPECT_EQ(::bind(fd_.get(), address_.get(), address_.size()), 0);
    socklen_t size = address_.capacity();
    EXPECT_EQ(::getsockname(fd_.get(), address_.get(), &size), 0);
    watch_.Start();
  }

  void Give(const std::string& name, int type, std::string data, unsigned ttl = 60) {
    records_[{name, type}].push_back({std::move(data), ttl});
  }
  void FailWith(const std::string& name, unsigned code) { codes_[name] = code; }

  const SocketAddress& address() const { return address_; }
  std::vector<int> asked;  // types, in the order of the questions
  bool silent = false;

 private:
  struct Record {
    std::string data;
    unsigned ttl;
  };

  void OnReadable() {
    char bytes[512];
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    auto* const peer = reinterpret_cast<sockaddr*>(&from);
    const ssize_t n = ::recvfrom(fd_.get(), bytes, sizeof bytes, 0, peer, &from_size);
    ASSERT_GT(n, 16);
    const std::string query(bytes, static_cast<size_t>(n));
    std::string name;
    size_t at = 12;
    for (; query[at] != '\0'; at += static_cast<size_t>(query[at]) + 1) {
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, static_cast<size_t>(query[at]));
    }
    const int type = static_cast<unsigned char>(query[at + 2]);
    asked.push_back(type);
    if (silent) return;
    const std::string answer =
        Answer(query.substr(0, 2), query.substr(12, at + 5 - 12), name, type);
    ::sendto(fd_.get(), answer.data(), answer.size(), 0, peer, from_size);
  }

  // An alias is given for whatever type is asked.
  std::string Answer(const std::string& id, const std::string& question, const std::string& name,
                     int type) {
    std::string body;
    unsigned count = 0;
    for (const int given : {type, static_cast<int>(ns_t_cname)}) {
      for (const Record& record : records_[{name, given}]) {
        body += U16(0xc00c) + U16(static_cast<unsigned>(given)) + U16(1) + U16(record.ttl >> 16) +
                U16(record.ttl & 0xffff) + U16(static_cast<unsigned>(record.data.size())) +
                record.data;
        ++count;
      }
    }
    return id + U16(0x8180 | codes_[name]) + U16(1) + U16(count) + U16(0) + U16(0) + question +
           body;
  }

  UniqueFd fd_;
  SocketAddress address_;
  FdWatch watch_;
  std::map<std::pair<std::string, int>, std::vector<Record>> records_;
  std::map<std::string, unsigned> codes_;
};

class ResolverTest : public testing::Test {
 public:
  void OnAnswer() { ++answers_; }
  void OnLimit() { late_ = true; }

 protected:
  ResolverTest() { conf_.servers = {server_.address()}; }

  Resolver& resolver() {
    if (resolver_ == nullptr) resolver_ = std::make_unique<Resolver>(loop_, conf_);
    return *resolver_;
  }
  ResolveAnswer Resolve(const std::string& name) {
    Lookup lookup(Callback::To<&ResolverTest::OnAnswer>(this));
    if (!lookup.Start(resolver(), name)) Wait(1);
    return lookup.answer();
  }
  // Until so many answers have come.
  void Wait(int answers) {
    Timer limit(loop_, Callback::To<&ResolverTest::OnLimit>(this));
    limit.Arm(20'000);
    for (answers_ = 0; answers_ < answers && !late_;) loop_.RunOnce();
    ASSERT_FALSE(late_);
  }
  static std::string Text(const ResolveAnswer& answer) {
    std::string text;
    for (const SocketAddress& address : answer.addresses) text += address.HostString() + " ";
    return text;
  }
  Loop loop_;
  NameServer server_{loop_};
  conf::Resolver conf_;
  int answers_ = 0;

 private:
  bool late_ = false;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, GivesBothFamiliesIPv4First) {
  server_.Give("web.test", ns_t_aaaa, V6("2001:db8::1"));
  server_.Give("web.test", ns_t_a, V4("10.0.0.1"));
  server_.Give("web.test", ns_t_a, V4("10.0.0.2"));
  EXPECT_EQ(Text(Resolve("Web.Test.")), "10.0.0.1 10.0.0.2 2001:db8::1 ");
}

TEST_F(ResolverTest, AsksOnlyForFamiliesThatAreOn) {
  conf_.ipv6 = false;
  server_.Give("web.test", ns_t_aaaa, V6("2001:db8::1"));
  server_.Give("web.test", ns_t_a, V4("10.0.0.1"));
  EXPECT_EQ(Text(Resolve("web.test")), "10.0.0.1 ");
  EXPECT_EQ(server_.asked, std::vector<int>{ns_t_a});
}

TEST_F(ResolverTest, OneFamilyIsEnough) {
  server_.Give("six.test", ns_t_aaaa, V6("2001:db8::1"));
  EXPECT_EQ(Text(Resolve("six.test")), "2001:db8::1 ");
}

TEST_F(ResolverTest, FollowsAliases) {
  server_.Give("web.test", ns_t_cname, EncodeName("a.test"));
  server_.Give("a.test", ns_t_cname, EncodeName("b.test"));
  server_.Give("b.test", ns_t_a, V4("10.0.0.9"));
  EXPECT_EQ(Text(Resolve("web.test")), "10.0.0.9 ");
}

TEST_F(ResolverTest, ARingOfAliasesEnds) {
  server_.Give("a.test", ns_t_cname, EncodeName("b.test"));
  server_.Give("b.test", ns_t_cname, EncodeName("a.test"));
  EXPECT_NE(Resolve("a.test").error, ResolveError::kNone);
}

// As nginx takes them.
TEST_F(ResolverTest, AnAliasMayBeLongerThanNamesAre) {
  conf_.ipv6 = false;
  const std::string label(63, 'a');
  const std::string name = label + "." + label + "." + label + "." + label;
  server_.Give("web.test", ns_t_cname, EncodeName(name));
  server_.Give(name, ns_t_a, V4("10.0.0.9"));
  EXPECT_EQ(Text(Resolve("web.test")), "10.0.0.9 ");
}

TEST_F(ResolverTest, WhatIsNoNameIsNotFound) {
  for (const char* name : {"", ".", "a..b", ".a"}) {
    EXPECT_EQ(Resolve(name).error, ResolveError::kNotFound) << name;
  }
  EXPECT_EQ(Resolve(std::string(64, 'a') + ".test").error, ResolveError::kNotFound);
  EXPECT_TRUE(server_.asked.empty());
}

TEST_F(ResolverTest, AsksAgainWhereNobodyListensYet) {
  conf_.ipv6 = false;
  const SocketAddress place = NameServer(loop_).address();  // and nobody there any more
  conf_.servers = {place};
  Lookup lookup(Callback::To<&ResolverTest::OnAnswer>(this));
  ASSERT_FALSE(lookup.Start(resolver(), "web.test"));
  loop_.RunOnce();  // it has been refused
  loop_.RunOnce();
  EXPECT_TRUE(lookup.waiting());
  NameServer late(loop_, place);
  late.Give("web.test", ns_t_a, V4("10.0.0.1"));
  Wait(1);
  EXPECT_EQ(Text(lookup.answer()), "10.0.0.1 ");
}

TEST_F(ResolverTest, TellsErrorsApart) {
  server_.FailWith("none.test", ns_r_nxdomain);
  server_.FailWith("ill.test", ns_r_servfail);
  server_.FailWith("closed.test", ns_r_refused);
  EXPECT_EQ(Resolve("none.test").error, ResolveError::kNotFound);
  EXPECT_EQ(Resolve("ill.test").error, ResolveError::kServer);
  EXPECT_EQ(Resolve("closed.test").error, ResolveError::kRefused);
  EXPECT_EQ(Resolve("empty.test").error, ResolveError::kNotFound);
}

TEST_F(ResolverTest, KeepsAnAnswerForItsTime) {
  conf_.ipv6 = false;
  server_.Give("long.test", ns_t_a, V4("10.0.0.1"), 60);
  server_.Give("short.test", ns_t_a, V4("10.0.0.2"), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Text(Resolve("long.test")), "10.0.0.1 ");
  EXPECT_EQ(server_.asked.size(), 1u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Text(Resolve("short.test")), "10.0.0.2 ");
  EXPECT_EQ(server_.asked.size(), 4u);
  // RFC 2181 8: it is none of 136 years.
  server_.Give("odd.test", ns_t_a, V4("10.0.0.3"), 0xFFFF'FFFF);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Text(Resolve("odd.test")), "10.0.0.3 ");
  EXPECT_EQ(server_.asked.size(), 7u);
}

// Whoever answers for a name that a client has chosen says how much there is to be kept.
TEST_F(ResolverTest, LongAnswersAreKeptOnlySoMany) {
  conf_.ipv6 = false;
  constexpr int kNames = 2400, kAddresses = 25;  // as many as UDP carries
  const auto ask_all = [&] {
    for (int i = 0; i < kNames; ++i) (void)Resolve("n" + std::to_string(i) + ".test");
  };
  for (int i = 0; i < kNames * kAddresses; ++i)
    server_.Give("n" + std::to_string(i % kNames) + ".test", ns_t_a, V4("10.0.0.1"));
  ask_all();
  const size_t once = server_.asked.size();
  ask_all();
  EXPECT_GT(server_.asked.size(), once + 20);
}

TEST_F(ResolverTest, ValidReplacesTheTime) {
  conf_.ipv6 = false;
  conf_.valid = std::chrono::seconds(60);
  server_.Give("web.test", ns_t_a, V4("10.0.0.1"), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Text(Resolve("web.test")), "10.0.0.1 ");
  EXPECT_EQ(server_.asked.size(), 1u);
}

TEST_F(ResolverTest, AllWhoWaitShareOneQuestion) {
  conf_.ipv6 = false;
  server_.Give("web.test", ns_t_a, V4("10.0.0.1"));
  Lookup first(Callback::To<&ResolverTest::OnAnswer>(this));
  Lookup second(Callback::To<&ResolverTest::OnAnswer>(this));
  auto third = std::make_unique<Lookup>(Callback::To<&ResolverTest::OnAnswer>(this));
  EXPECT_FALSE(first.Start(resolver(), "web.test"));
  EXPECT_FALSE(second.Start(resolver(), "WEB.test"));
  EXPECT_FALSE(third->Start(resolver(), "web.test"));
  third.reset();  // who has gone is not called
  Wait(2);
  EXPECT_EQ(server_.asked.size(), 1u);
  EXPECT_EQ(Text(first.answer()), "10.0.0.1 ");
  EXPECT_EQ(Text(second.answer()), "10.0.0.1 ");
  EXPECT_EQ(answers_, 2);
}

TEST_F(ResolverTest, GivesServices) {
  server_.Give("_http._tcp.web.test", ns_t_srv, Srv(2, 30, 8081, "B.test"));
  server_.Give("_http._tcp.web.test", ns_t_srv, Srv(1, 10, 8080, "a.test"));
  Lookup lookup(Callback::To<&ResolverTest::OnAnswer>(this));
  ASSERT_FALSE(lookup.StartService(resolver(), "_http._tcp.web.test"));
  Wait(1);
  std::map<std::string, ServiceRecord> found;
  for (const ServiceRecord& record : lookup.answer().services) found[record.target] = record;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found["a.test"].port, 8080);
  EXPECT_EQ(found["a.test"].priority, 1);
  EXPECT_EQ(found["b.test"].port, 8081);
  EXPECT_EQ(found["b.test"].weight, 30);
}

TEST_F(ResolverTest, AsksAnotherServerWhereOneIsSilent) {
  NameServer silent(loop_);
  silent.silent = true;
  conf_.servers = {silent.address(), server_.address()};
  conf_.ipv6 = false;
  server_.Give("web.test", ns_t_a, V4("10.0.0.1"));
  for (const std::string name : {"web.test", "x.test", "y.test", "z.test"}) {  // it may rotate
    if (name != "web.test") server_.Give(name, ns_t_a, V4("10.0.0.1"));
    EXPECT_EQ(Text(Resolve(name)), "10.0.0.1 ");
    if (!silent.asked.empty()) break;
  }
  EXPECT_FALSE(silent.asked.empty());
}

}  // namespace
}  // namespace limpet::worker
