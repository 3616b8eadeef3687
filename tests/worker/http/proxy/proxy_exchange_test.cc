// Every event in every state of a proxied exchange: what follows, which deadline runs afterwards,
// and what the client has got. What is not listed changes nothing.
#include "worker/http/proxy/proxy_exchange.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "shm/peer_state_registry.h"
#include "tests/worker/http/proxy/proxy_harness.h"

namespace limpet::worker {
namespace {

constexpr size_t kShared = 1, kFull = 2, kNames = 3;  // of the upstreams
constexpr const char* kText = R"(
  access_log off;
  upstream app { server @A@; server @B@; keepalive 4; }
  upstream shared { server @A@; server @A@; keepalive 4; }
  upstream full { server @A@ max_conns=1; queue 1 timeout=20ms; }
  upstream names { zone names 64k; resolver @DNS@; server web.test:80 resolve; }
  proxy_http_version 1.1;
  proxy_set_header Connection $http_connection;
  proxy_set_header Upgrade $http_upgrade;
  proxy_connect_timeout 20ms;
  proxy_send_timeout 20ms;
  proxy_read_timeout 20ms;
  lingering_timeout 20ms;
  proxy_next_upstream_tries 1;
  server {
    listen 127.0.0.1:80;
    location / { proxy_pass http://app; }
    location /named { resolver @DNS@; resolver_timeout 20ms; proxy_pass http://$arg_host; }
    location /shared { proxy_pass http://shared; }
    location /full { proxy_pass http://full; }
    location /names { proxy_pass http://names; }
    location /limited { proxy_pass http://app; proxy_limit_rate 100; }
    location /ranges { proxy_pass http://app; proxy_force_ranges on; error_page 416 /page; }
    location /page { proxy_pass http://app; }
    location /stream { proxy_pass http://app; proxy_request_buffering off; }
    location /shared_stream { proxy_pass http://shared; proxy_request_buffering off; }
    location /first { proxy_pass http://app; proxy_cookie_path ~^/(?<folder>.*)$ /$folder; }
    location /second { proxy_pass http://app; add_header X-Folder $folder; }
  }
)";

// Of sessions that a store knows, which answers when the test says so.
class StoredSessions final : public StickyPolicy {
 public:
  explicit StoredSessions(bool confirms) : confirms_(confirms) {}

  Peer* Find(conf::VariableReader& /*request*/, StickyState& state) override {
    state.id = "session";
    return nullptr;
  }
  bool Ask(const StickyState& /*state*/, StoreWait* wait) override {
    if (!confirms_) waiters_.Join(wait);
    return !confirms_;
  }
  bool confirms() const override { return confirms_; }
  void OnHeadLeaves(conf::VariableReader& /*request*/, StickyState& state, const Peer& /*peer*/,
                    bool /*buffered*/) override {
    if (!std::exchange(told_, true)) waiters_.Join(state.wait);
  }

  void Answer() { waiters_.Tell(); }
  size_t waiting() const { return waiting_; }

 private:
  const bool confirms_;
  bool told_ = false;
  size_t waiting_ = 0;
  StoreWaiters waiters_{&waiting_};
};

std::string Running(ProxyClock clock) {
  switch (clock) {
    case ProxyClock::kResolve:
      return ", resolve";
    case ProxyClock::kQueue:
      return ", queue";
    case ProxyClock::kConnect:
      return ", connect";
    case ProxyClock::kSend:
      return ", send";
    case ProxyClock::kRead:
      return ", read";
    case ProxyClock::kLinger:
      return ", linger";
    case ProxyClock::kNone:
    case ProxyClock::kTraffic:
      break;
  }
  return "";
}

class Proxied : public ProxyHarness {
 public:
  Proxied() : ProxyHarness(kText) {}
  ~Proxied() {
    if (place_taken_) --upstream(kFull).group.peers()[0].state->conns;
  }

  // --- States ---
  void BeResolving() { Send("GET /named?host=name.example HTTP/1.1\r\nHost: a\r\n\r\n"); }
  void BeReadingBody() { Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"); }
  void BeQueued() {
    place_taken_ = true;
    ++upstream(kFull).group.peers()[0].state->conns;  // another worker's
    Send("GET /full HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  void BeConnecting() { Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); }
  void BeSending() {
    peer_ = &Keep();
    peer_->room = 3;
    Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  void BeStreaming() {
    peer_ = &Keep();
    Send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
  }
  void BeWaiting() {
    peer_ = &Keep();
    Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  void BeResponding() {
    BeWaiting();
    Answer(*peer_, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  }
  void BeHeldBack() {
    BeWaiting();
    Answer(*peer_, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    stream().is_blocked = true;
    Answer(*peer_, "d");
  }
  void BeAnsweredEarly() {
    BeStreaming();
    Answer(*peer_, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  }
  void BeAsking() {
    ShareSessions(false);
    Send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  void BeConfirming() {
    ShareSessions(true);
    peer_ = &Keep(0, kShared);
    Send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n");
    Answer(*peer_, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  }
  // The answer has come before the whole of the body.
  FakeTransport& BeConfirmingEarly() {
    ShareSessions(true);
    peer_ = &Keep(0, kShared);
    Send("POST /shared_stream HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    SendBody("abc");
    Answer(*peer_, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    return *peer_;
  }
  void BeTunnel() {
    peer_ = &Keep();
    Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n");
    Answer(*peer_, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n");
  }
  FakeTransport& BeTunnelTo(size_t room) {
    BeTunnel();
    peer_->room = room;
    peer_->output.clear();
    return *peer_;
  }
  void BeEndingTunnel() {
    BeTunnelTo(1);
    SendBody("abc");
    exchange().OnBodyEnd();
  }
  void BeLingering() {
    BeTunnel();
    exchange().OnBodyEnd();
  }
  // Another location's answer, which is "no", comes in place of that of the first.
  void BeReplaced(const char* request, const char* first) {
    FakeTransport& asked_first = Keep();
    Send(request);
    FakeTransport& one = Keep(0);
    FakeTransport& other = Keep(1);
    Answer(asked_first, first);
    Answer(one.output.empty() ? other : one,
           "HTTP/1.1 200 OK\r\nX-Filler: " + std::string(200, 'y') +
               "\r\nContent-Length: 2\r\n\r\nno");
  }
  void BeOver() {
    BeWaiting();
    PeerSends();
    peer_ = nullptr;
  }

  // --- Events. Those of the peer come only while it is read, as a transport sees to it. ---
  void PeerSends() {
    if (peer_ == nullptr) return handler().OnReadable();
    Answer(*peer_, stream().head_sent() ? "def" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  void PeerCloses() { PeerEnds(FakeTransport::End::kEof); }
  void PeerResets() { PeerEnds(FakeTransport::End::kReset); }
  void PeerTakesMore() {
    if (peer_ != nullptr) peer_->room = 1 << 20;
    handler().OnWritable();
  }
  void ConnectionIsThere() { handler().OnReady(0); }
  void ConnectionFails() { handler().OnReady(ECONNREFUSED); }
  void PlaceIsFree() {
    if (std::exchange(place_taken_, false)) --upstream(kFull).group.peers()[0].state->conns;
    upstream(kFull).queue.GiveTurns();
  }
  void StoreAnswers() {
    if (store_ != nullptr) store_->Answer();
  }
  void DeadlinePasses() {
    if (proxy().clock() == ProxyClock::kNone) return;
    const std::string before = Now();
    while (Now() == before) loop().RunOnce();
  }
  void ClientLeaves() { exchange().OnClientGone(); }
  void ClientTakesAll() {
    stream().is_blocked = false;
    exchange().OnOutputDrained();
  }
  void BodyComes() { SendBody("abc"); }
  void BodyPauses() { exchange().OnBodyPause(); }
  void BodyEnds() { exchange().OnBodyEnd(); }
  void IsStopped() { proxy().Stop(); }

  // "talking, read", "idle: 502 done".
  std::string Now() {
    const std::string outcome = stream().Outcome();
    return std::string(RowOf(proxy().state()).name) + Running(proxy().clock()) +
           (outcome.empty() ? "" : ": " + outcome);
  }
  size_t waiting_for_store() const { return store_ != nullptr ? store_->waiting() : 0; }
  bool reads_peer() const { return peer_ != nullptr && peer_->wants_read(); }

 private:
  void PeerEnds(FakeTransport::End end) {
    if (peer_ == nullptr) return handler().OnReadable();
    peer_->end = end;
    if (peer_->wants_read()) handler().OnReadable();
  }

  void ShareSessions(bool confirms) {
    auto sessions = std::make_unique<StoredSessions>(confirms);
    store_ = sessions.get();
    upstream(kShared).sticky = std::move(sessions);
  }

  FakeTransport* peer_ = nullptr;
  StoredSessions* store_ = nullptr;
  bool place_taken_ = false;
};

using Do = void (Proxied::*)();

const std::map<std::string, Do> kEvents = {
    {"the peer sends", &Proxied::PeerSends},
    {"the peer closes", &Proxied::PeerCloses},
    {"the peer resets", &Proxied::PeerResets},
    {"the peer takes more", &Proxied::PeerTakesMore},
    {"the connection is there", &Proxied::ConnectionIsThere},
    {"the connection fails", &Proxied::ConnectionFails},
    {"a place is free", &Proxied::PlaceIsFree},
    {"the store answers", &Proxied::StoreAnswers},
    {"the deadline passes", &Proxied::DeadlinePasses},
    {"the client leaves", &Proxied::ClientLeaves},
    {"the client takes all", &Proxied::ClientTakesAll},
    {"some of the body comes", &Proxied::BodyComes},
    {"the body pauses", &Proxied::BodyPauses},
    {"the body ends", &Proxied::BodyEnds},
    {"it is stopped", &Proxied::IsStopped},
};

struct Row {
  const char* name;
  Do be;
  bool reads_peer;
  std::string is;
  std::map<std::string, std::string> becomes;
};

const Row kRows[] = {
    {"resolving",
     &Proxied::BeResolving,
     false,
     "resolving, resolve",
     {{"the deadline passes", "idle: 502 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"reading the body",
     &Proxied::BeReadingBody,
     false,
     "reading body",
     {{"the body ends", "connecting, connect"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"asking the store for its session",
     &Proxied::BeAsking,
     false,
     "asking for session",
     {{"the store answers", "connecting, connect"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"queued",
     &Proxied::BeQueued,
     false,
     "queued, queue",
     {{"a place is free", "connecting, connect"},
      {"the deadline passes", "idle: 502 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"connecting",
     &Proxied::BeConnecting,
     false,
     "connecting, connect",
     {{"the connection is there", "talking, send"},
      {"the connection fails", "idle: 502 done"},
      {"the deadline passes", "idle: 504 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"sending: the peer takes no more",
     &Proxied::BeSending,
     true,
     "talking, send",
     {{"the peer takes more", "talking, read"},
      {"the peer sends", "idle: 200 done"},
      {"the peer closes", "connecting, connect"},  // it had been kept, and has said nothing
      {"the peer resets", "connecting, connect"},
      {"the deadline passes", "idle: 504 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"streaming: the rest of the body is to come",
     &Proxied::BeStreaming,
     true,
     "talking",
     {{"the body ends", "talking, read"},
      {"the peer sends", "idle: 200 done"},
      {"the peer closes", "idle: 502 done"},  // what has left cannot be sent again
      {"the peer resets", "idle: 502 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"waiting for the head",
     &Proxied::BeWaiting,
     true,
     "talking, read",
     {{"the peer sends", "idle: 200 done"},
      {"the peer closes", "connecting, connect"},
      {"the peer resets", "connecting, connect"},
      {"the deadline passes", "idle: 504 done"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"responding",
     &Proxied::BeResponding,
     true,
     "talking, read: 200",
     {{"the peer closes", "idle: 200 broken"},
      {"the peer resets", "idle: 200 broken"},
      {"the deadline passes", "idle: 200 broken"},
      {"the client leaves", "idle: 200 aborted"},
      {"it is stopped", "idle: 200"}}},
    {"held back by the client",
     &Proxied::BeHeldBack,
     false,
     "talking: 200",
     {{"the client takes all", "talking, read: 200"},
      {"the client leaves", "idle: 200 aborted"},
      {"it is stopped", "idle: 200"}}},
    {"answered before the body was sent",
     &Proxied::BeAnsweredEarly,
     true,
     "talking, read: 200",
     {{"the peer closes", "idle: 200 broken"},
      {"the peer resets", "idle: 200 broken"},
      {"the deadline passes", "idle: 200 broken"},
      {"the client leaves", "idle: 200 aborted"},
      {"it is stopped", "idle: 200"}}},
    {"confirming its session with the store",
     &Proxied::BeConfirming,
     false,
     "confirming session",
     {{"the store answers", "talking, read: 200"},
      {"the client leaves", "idle: aborted"},
      {"it is stopped", "idle"}}},
    {"a tunnel",
     &Proxied::BeTunnel,
     true,
     "tunnel, read: 101",
     {{"the peer closes", "idle: 101 done"},
      {"the peer resets", "idle: 101 broken"},
      {"the body ends", "lingering, linger: 101"},
      {"the deadline passes", "idle: 101 done"},
      {"the client leaves", "idle: 101 aborted"},
      {"it is stopped", "idle: 101"}}},
    {"a tunnel whose client has ended, and the peer takes no more",
     &Proxied::BeEndingTunnel,
     true,
     "tunnel, send: 101",
     {{"the peer takes more", "lingering, linger: 101"},
      {"the peer closes", "idle: 101 done"},
      {"the peer resets", "idle: 101 broken"},
      {"the deadline passes", "idle: 101 done"},
      {"the client leaves", "idle: 101 aborted"},
      {"it is stopped", "idle: 101"}}},
    {"a tunnel whose client has ended, and the peer has all of it",
     &Proxied::BeLingering,
     true,
     "lingering, linger: 101",
     {{"the peer closes", "idle: 101 done"},
      {"the peer resets", "idle: 101 done"},
      {"the deadline passes", "idle: 101 done"},
      {"it is stopped", "idle: 101"}}},
    {"over", &Proxied::BeOver, false, "idle: 200 done", {}},
};

TEST(ProxyExchange, GoesOnAsTheTableSays) {
  for (const Row& row : kRows) {
    for (const auto& [event, happen] : kEvents) {
      SCOPED_TRACE(fmt::format("{}: {}", row.name, event));
      Proxied proxied;
      (proxied.*row.be)();
      ASSERT_EQ(proxied.Now(), row.is);
      ASSERT_EQ(proxied.reads_peer(), row.reads_peer);
      (proxied.*happen)();
      const auto becomes = row.becomes.find(event);
      EXPECT_EQ(proxied.Now(), becomes != row.becomes.end() ? becomes->second : row.is);
      if (becomes == row.becomes.end()) continue;
      EXPECT_EQ(proxied.waiting_for_store(), 0u);
    }
  }
}

TEST(ProxyExchange, ListsNoEventThatDoesNotExist) {
  for (const Row& row : kRows) {
    for (const auto& [event, becomes] : row.becomes) EXPECT_EQ(kEvents.count(event), 1u) << event;
  }
}

// What had come when a kept connection turned out to be closed goes to the next peer.
TEST(ProxyExchange, SendsAStreamThatNobodyHasHadToAnotherPeer) {
  for (const char* framing : {"Content-Length: 6", "Transfer-Encoding: chunked"}) {
    Proxied proxied;
    FakeTransport& stale = proxied.Keep(0);
    stale.write_error = EPIPE;
    proxied.stream().on_wanted = [&proxied] { proxied.SendBody("abc"); };
    proxied.Send(fmt::format("POST /stream HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", framing));
    stale.end = FakeTransport::End::kEof;
    FakeTransport& one = proxied.Keep(0);
    FakeTransport& other = proxied.Keep(1);
    proxied.handler().OnReadable();
    proxied.SendBody("def");
    proxied.exchange().OnBodyEnd();
    EXPECT_EQ(proxied.Now(), "talking, read");
    const std::string sent = one.output + other.output;
    const bool chunked = std::string_view(framing).ends_with("chunked");
    EXPECT_TRUE(sent.ends_with(chunked ? "\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n" : "\r\nabcdef"))
        << sent;
  }
}

TEST(ProxyExchange, AsksForNoBodyBetweenTwoPeers) {
  Proxied proxied;
  FakeTransport& stale = proxied.Keep(0);
  stale.write_error = EPIPE;
  proxied.Send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
  stale.end = FakeTransport::End::kEof;
  proxied.handler().OnReadable();
  EXPECT_EQ(proxied.Now(), "connecting, connect");
  EXPECT_FALSE(proxied.stream().wants_body);
}

TEST(ProxyExchange, PassesInterimHeadsBy) {
  Proxied proxied;
  FakeTransport& peer = proxied.Keep();
  proxied.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  proxied.Answer(peer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_EQ(proxied.Now(), "talking, read");
  proxied.Answer(peer, "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(proxied.Now(), "idle: 204 done");
}

TEST(ProxyExchange, GivesThePeerWhatTheClientOfATunnelSentLast) {
  Proxied proxied;
  FakeTransport& peer = proxied.BeTunnelTo(100'000);
  std::string sent;
  for (char c = 'a'; c <= 'z'; ++c) {
    proxied.exchange().OnBodyData(proxied.Piece(sent.assign(10'000, c)));
    if (c < 'z') proxied.exchange().OnBodyPause();
  }
  proxied.exchange().OnBodyEnd();
  ASSERT_EQ(proxied.Now(), "tunnel, send: 101");
  EXPECT_EQ(peer.output.size(), 100'000u);
  EXPECT_TRUE(peer.wants_read());
  proxied.PeerTakesMore();
  EXPECT_EQ(peer.output.size(), 260'000u);
  EXPECT_EQ(peer.output.substr(250'000), sent);
  const size_t had = proxied.stream().body().size();
  proxied.Answer(peer, "what nobody waits for");
  EXPECT_EQ(proxied.Now(), "lingering, linger: 101");
  EXPECT_EQ(proxied.stream().body().size(), had);
  proxied.PeerCloses();
  EXPECT_EQ(proxied.Now(), "idle: 101 done");
}

TEST(ProxyExchange, EndsWhatHasOnlyInterimHeads) {
  Proxied proxied;
  FakeTransport& peer = proxied.Keep();
  proxied.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 1000 && !proxied.stream().head_sent(); ++i)
    proxied.Answer(peer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  EXPECT_EQ(proxied.Now(), "idle: 502 done");
}

// proxy_limit_rate is of the response that it was evaluated for.
TEST(ProxyExchange, LimitsNoTunnelByTheResponseBefore) {
  Proxied proxied;
  FakeTransport* peer = &proxied.Keep();
  proxied.Send("GET /limited HTTP/1.1\r\nHost: a\r\n\r\n");
  proxied.Answer(*peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_EQ(proxied.Now(), "idle: 200 done");
  proxied.NextRequest();
  FakeTransport& one = proxied.Keep(0);
  FakeTransport& other = proxied.Keep(1);
  proxied.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n");
  peer = one.output.empty() ? &other : &one;
  proxied.Answer(*peer, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n");
  const std::string much(10'000, 'x');
  proxied.Answer(*peer, much);
  EXPECT_EQ(proxied.stream().body(), "ok" + much);
}

// Two servers that a name gives, the second one only while the store is asked for a session of it.
class SessionsOfNames final : public StickyPolicy {
 public:
  explicit SessionsOfNames(UpstreamGroup& group) : group_(group) {}

  Peer* Find(conf::VariableReader& /*request*/, StickyState& state) override {
    state.id = "session";
    state.has_key = true;
    return state.bound = group_.peers().size() == 2 ? &group_.peers()[1] : nullptr;
  }
  bool Ask(const StickyState& /*state*/, StoreWait* wait) override {
    waiters_.Join(wait);
    return true;
  }
  void Answer() { waiters_.Tell(); }

 private:
  UpstreamGroup& group_;
  size_t waiting_ = 0;
  StoreWaiters waiters_{&waiting_};
};

class ProxiedByName : public ProxyHarness {
 public:
  explicit ProxiedByName(shm::PeerStates& states) : ProxyHarness(kText), states_(states) {
    Share(kNames, states);
    auto sessions = std::make_unique<SessionsOfNames>(upstream(kNames).group);
    sessions_ = sessions.get();
    upstream(kNames).sticky = std::move(sessions);
  }
  void Give(int count) {
    std::vector<shm::ResolvedPeer> peers;
    for (int i = 1; i <= count; ++i)
      peers.push_back({.address = *SocketAddress::ParseIp(fmt::format("127.0.1.{}", i), 1)});
    {
      const shm::PeerStates::Guard guard(states_);
      states_.resolved()->Replace(states_.sources()[0], peers);
    }
    upstream(kNames).group.Update();
  }
  void StoreAnswers() { sessions_->Answer(); }

 private:
  shm::PeerStates& states_;
  SessionsOfNames* sessions_ = nullptr;
};

TEST(ProxyExchange, FindsAServerThatCameWhileItsSessionWasAskedFor) {
  shm::PeerStateRegistry registry;
  const auto states = registry.Attach("names", {}, {{.host = "web.test", .port = 80}}, 16);
  ProxiedByName proxied(*states);
  proxied.Give(1);
  proxied.Send("GET /names HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(proxied.proxy().state(), ProxyState::kAsking);
  proxied.Give(2);
  proxied.StoreAnswers();
  const StickyState& session = proxied.proxy().sticky_state();
  ASSERT_NE(session.bound, nullptr);
  EXPECT_EQ(session.bound->name, "127.0.1.2:1");
  EXPECT_EQ(session.status, StickyStatus::kAsked);
  for (const int count : {1, 2, 1}) proxied.Give(count);
  EXPECT_TRUE(session.bound->gone) << "it is held for as long as the exchange looks at it";
}

// An error page in the place of a response keeps its cookies; they outlive the peer's bytes.
TEST(ProxyExchange, SendsWhatCameOfABodyWhileASessionWasConfirmed) {
  Proxied proxied;
  FakeTransport& peer = proxied.BeConfirmingEarly();
  ASSERT_EQ(proxied.Now(), "confirming session");
  proxied.SendBody("def");
  proxied.exchange().OnBodyEnd();
  proxied.StoreAnswers();
  EXPECT_TRUE(peer.output.ends_with("\r\n\r\nabcdef")) << peer.output;
  proxied.Answer(peer, "defghi");
  EXPECT_EQ(proxied.Now(), "idle: 200 done");
}

// It is a part of the first one's head, whose block may be another response's by now.
TEST(ProxyExchange, KeepsAVariableOfAResponseThatAnotherLocationReplaces) {
  Proxied proxied;
  proxied.BeReplaced("GET /first HTTP/1.1\r\nHost: a\r\n\r\n",
                     "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/of-the-first\r\n"
                     "X-Accel-Redirect: /second\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(proxied.stream().body(), "no");
  EXPECT_NE(proxied.stream().fields().find("X-Folder: of-the-first\r\n"), std::string::npos)
      << proxied.stream().fields();
}

TEST(ProxyExchange, KeepsTheCookiesOfAResponseThatAnErrorPageReplaces) {
  Proxied proxied;
  proxied.BeReplaced("GET /ranges HTTP/1.1\r\nHost: a\r\nRange: bytes=9-\r\n\r\n",
                     "HTTP/1.1 200 OK\r\nSet-Cookie: a=of-the-first\r\nETag: \"x\"\r\n"
                     "Content-Length: 2\r\n\r\nok");
  EXPECT_EQ(proxied.stream().body(), "no");
  EXPECT_NE(proxied.stream().fields().find("Set-Cookie: a=of-the-first\r\n"), std::string::npos)
      << proxied.stream().fields();
}

}  // namespace
}  // namespace limpet::worker
