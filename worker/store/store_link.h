// One connection to the Redis that a session_store names. It finds the server (several are tried in
// order, names are resolved anew each time, Sentinels are asked for the master, and a server of a
// Redis Cluster for the one that has the user's keys), greets it, and comes back by itself when it
// is lost. It is up when that server has said that it has the keys. A server that is not asked for
// anything is asked that again now and then: it, or what is between, would drop the connection.
//
// What is sent is answered in the order it was sent, or not at all: after OnDown no reply to
// anything that was sent before comes. Callbacks come from the loop, or from within Start and
// Break, and may send, break and stop.
//
// Where it is, is a row of kLinkRows; Enter is the one door, and arms the one timer.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "conf/session_store.h"
#include "worker/net/loop.h"
#include "worker/net/transport.h"
#include "worker/store/circuit.h"
#include "worker/store/resp.h"
#include "worker/tls/tls_context.h"
#include "worker/upstream/resolver.h"

namespace limpet::worker {

enum class LinkState : uint8_t {
  kOff,
  kWaiting,         // for the next attempt
  kResolving,       // the server's name
  kConnecting,      // and the TLS handshake
  kAskingSentinel,  // where the master is
  kGreeting,        // AUTH, SELECT, whether it has the keys, ROLE
  kUp,
};

enum class LinkClock : uint8_t {
  kNone,
  kRetry,    // the circuit's back-off
  kConnect,  // connect_timeout
  kAnswer,   // while replies are owed: how long a server may say nothing; else until it is asked
};

struct LinkRow {
  LinkState state;
  std::string_view name;
  uint8_t follows;  // bits of the states it may come after
  LinkClock clock;
};

constexpr uint8_t LinkBit(LinkState state) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(state));
}

constexpr std::array kLinkRows = [] {
  using S = LinkState;
  using C = LinkClock;
  constexpr uint8_t kAny = 0x7F;
  constexpr uint8_t kTrying = LinkBit(S::kOff) | LinkBit(S::kWaiting);
  constexpr uint8_t kNamesOther = LinkBit(S::kAskingSentinel) | LinkBit(S::kGreeting);
  constexpr uint8_t kFound = kTrying | LinkBit(S::kResolving) | kNamesOther;
  // clang-format off
  return std::array<LinkRow, 7>{{
      {S::kOff, "off",                        kAny,                       C::kNone},
      {S::kWaiting, "waiting",                kAny & ~LinkBit(S::kOff),   C::kRetry},
      {S::kResolving, "resolving its name",   kTrying | kNamesOther,      C::kConnect},
      {S::kConnecting, "connecting",          kFound,                     C::kConnect},
      {S::kAskingSentinel, "asking Sentinel", LinkBit(S::kConnecting),    C::kConnect},
      {S::kGreeting, "greeting",              LinkBit(S::kConnecting),    C::kConnect},
      {S::kUp, "up",                          LinkBit(S::kGreeting),      C::kAnswer},
  }};
  // clang-format on
}();

// Whether an error says that this server, now, is not the one to ask.
bool IsOfServer(std::string_view error);
// Whether it says that this server takes the same command later: it is out of memory, cannot save,
// has too few replicas, or hands the zone's slot over to another (of a Redis Cluster).
bool WillPass(std::string_view error);

class StoreLink final : public TransportHandler {
 public:
  class User {
   public:
    virtual void OnUp() = 0;
    virtual void OnReply(RespReply& reply) = 0;  // to the oldest that was sent and not answered
    // The connection is lost, or could not be made: why() says how.
    virtual void OnDown() = 0;

   protected:
    ~User() = default;
  };
  struct Env {
    Loop& loop;
    const conf::SessionStore& conf;
    const TlsContext* tls = nullptr;  // null: plain
    Resolver* resolver = nullptr;     // null: names are as they were at load
  };
  struct Options {
    std::chrono::milliseconds patience;  // how long an answer may take before the server is lost
    RespReader::Limits limits;
    std::vector<std::string> greeting;  // commands of the user's own: an error to one ends it
    // A command that only the server with the user's keys answers, and that changes nothing.
    std::string probe;
    std::chrono::milliseconds quiet = std::chrono::seconds(20);  // before it is asked that again
  };

  StoreLink(const Env& env, Options options, User& user);
  ~StoreLink();
  StoreLink(const StoreLink&) = delete;
  StoreLink& operator=(const StoreLink&) = delete;

  void Start();
  void Stop();  // without a word to the user
  bool up() const { return state_ == LinkState::kUp; }
  void Send(std::string_view command);  // while up; leaves with the others of this pass
  void Push();                          // at once: before what the caller sends to others
  // What the server said cannot be: it is left, and OnDown comes.
  void Break(std::string why) { Lose(std::move(why)); }
  // The same for an error that it said. One that says where the keys are now (MOVED) is followed.
  void BreakFor(const RespReply& error);

  Circuit& circuit() { return circuit_; }
  const std::string& where() const { return where_; }  // the server that is, or was, spoken to
  const std::string& why() const { return why_; }
  bool spoke_nonsense() const { return nonsense_; }  // why() is an answer that could not be read

 private:
  // TransportHandler
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;

  void Enter(LinkState next);
  void OnTimer();
  void Try();
  void TryOther(conf::SessionStore::Server other);
  void OnResolved();
  void ConnectTo(const SocketAddress& address);
  void OnConnected();
  void AskSentinel();
  void Greet();
  void OnGreetingReply(const RespReply& reply);
  void AwaitQuiet();
  void OnProbeReply(const RespReply& reply);
  void OnSentinelReply(const RespReply& reply);
  void Dispatch(RespReply& reply);
  void Write(std::string_view command);
  void Flush();
  bool WriteOut();
  void Lose(std::string why);
  void Disconnect();
  const conf::SessionStore::Server& server() const;
  std::optional<conf::SessionStore::Server> ServerAt(std::string_view host, uint16_t port) const;
  std::optional<conf::SessionStore::Server> MovedTo(std::string_view error) const;
  std::string TlsName() const;
  bool SeeksMaster() const { return !conf().sentinel.empty() && !target_; }
  const conf::SessionStore& conf() const { return env_.conf; }

  enum class Asked : uint8_t { kAuth, kSelect, kProbe, kRole, kUser };

  const Env env_;
  const Options options_;
  User& user_;
  Circuit circuit_;
  LinkState state_ = LinkState::kOff;
  std::optional<conf::SessionStore::Server> target_;  // what Sentinel or MOVED has named
  SocketAddress address_;                             // of the connection
  Lookup lookup_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<RespReader> reader_;
  std::deque<Asked> greeting_;  // replies of the greeting that are still to come
  std::string out_;
  size_t sent_ = 0;  // of out_
  size_t owed_ = 0;
  bool probing_ = false;  // of what is owed, the first answers a probe of our own
  uint64_t life_ = 0;     // counts connections: whether a callback has ended this one
  size_t turn_ = 0;       // of the servers and their addresses
  uint64_t heard_ms_ = 0;
  std::string where_, why_;
  bool nonsense_ = false;
  Deferred flush_;
  Timer timer_;
};

}  // namespace limpet::worker
