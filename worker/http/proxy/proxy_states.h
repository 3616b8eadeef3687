// Where a proxied exchange is: a row for each state, and the order of its two halves. Pure;
// ProxyExchange::Enter applies the rows, and nobody else arms what they say.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limpet::worker {

enum class ProxyState : uint8_t {
  kIdle,
  kFinding,  // the upstream
  kResolving,
  kReadingBody,
  kAsking,      // other machines for the request's session
  kChoosing,    // a peer, and a connection to it; from here to kTalking if there is one at once
  kQueued,      // all servers that may have it are full
  kConnecting,  // and its TLS handshake
  kTalking,
  kConfirming,  // the answer's session: other machines know it before the client does
  kTunnel,
  kLingering,  // behind a tunnel: all has been sent, and the peer is waited for to end, too
};

// Request and response each go from head to body to done, side by side. A new attempt begins both
// anew.
enum class Half : uint8_t { kHead, kBody, kDone };

constexpr bool CanFollow(Half from, Half to) { return to == Half::kHead || to > from; }

// Which time is running. One at most: a slow client has deadlines of its own.
enum class ProxyClock : uint8_t {
  kNone,
  kResolve,  // resolver_timeout
  kQueue,    // what is left of the queue's
  kConnect,  // proxy_connect_timeout
  kSend,     // proxy_send_timeout
  kRead,     // proxy_read_timeout
  kLinger,   // lingering_timeout
  kTraffic,  // whichever of kNone, kSend and kRead TrafficClock says
};

// What leaving a state ends, besides its deadline.
enum class ProxyEnds : uint8_t {
  kNothing,
  kLookup,
  kPlace,  // in the upstream's queue
  kWait,   // for other machines
  kFlow,   // pauses, and the wait for the end of a drain
};

// What may happen meanwhile.
constexpr uint8_t kReadsPeer = 1;
constexpr uint8_t kTakesBody = 2;       // of the client, piece by piece
constexpr uint8_t kEndsWithClient = 4;  // whatever proxy_ignore_client_abort says
constexpr uint8_t kDropsPeer = 8;       // what it still sends is thrown away

struct ProxyRow {
  ProxyState state;
  std::string_view name;
  uint16_t follows;  // bits of the states it may come after
  ProxyClock clock;
  uint8_t allows;
  ProxyEnds ends;

  bool reads_peer() const { return (allows & kReadsPeer) != 0; }
  bool takes_body() const { return (allows & kTakesBody) != 0; }
  bool drops_peer() const { return (allows & kDropsPeer) != 0; }
  bool ends_with_client() const { return (allows & kEndsWithClient) != 0; }
};

constexpr uint16_t Bit(ProxyState state) {
  return static_cast<uint16_t>(1u << static_cast<unsigned>(state));
}

constexpr std::array kProxyRows = [] {
  using S = ProxyState;
  using C = ProxyClock;
  using E = ProxyEnds;
  constexpr uint16_t kAllButIdle = 0xFFE;
  constexpr uint16_t kNamed = Bit(S::kFinding) | Bit(S::kResolving);
  constexpr uint16_t kTried = Bit(S::kQueued) | Bit(S::kConnecting) | Bit(S::kTalking);
  constexpr uint16_t kHasBody = Bit(S::kReadingBody) | Bit(S::kAsking) | Bit(S::kChoosing) | kTried;
  constexpr uint16_t kHasPeer = Bit(S::kChoosing) | Bit(S::kConnecting) | Bit(S::kConfirming);
  constexpr uint8_t kPeer = kReadsPeer | kTakesBody;
  // clang-format off
  return std::array<ProxyRow, 12>{{
      {S::kIdle, "idle",                kAllButIdle,       C::kNone,    0,          E::kNothing},
      {S::kFinding, "finding upstream", Bit(S::kIdle),     C::kNone,    0,          E::kNothing},
      {S::kResolving, "resolving",      Bit(S::kFinding),  C::kResolve, 0,          E::kLookup},
      {S::kReadingBody, "reading body", kNamed,            C::kNone,    0,          E::kNothing},
      {S::kAsking, "asking for session", Bit(S::kReadingBody), C::kNone, 0,        E::kWait},
      {S::kChoosing, "choosing peer",   kHasBody,          C::kNone,    0,          E::kNothing},
      {S::kQueued, "queued",            Bit(S::kChoosing), C::kQueue,   0,          E::kPlace},
      {S::kConnecting, "connecting",    Bit(S::kChoosing), C::kConnect, 0,          E::kNothing},
      {S::kTalking, "talking",          kHasPeer,          C::kTraffic, kPeer,      E::kFlow},
      {S::kConfirming, "confirming session", Bit(S::kTalking), C::kNone, kTakesBody, E::kWait},
      {S::kTunnel, "tunnel", Bit(S::kTalking), C::kTraffic, kPeer | kEndsWithClient, E::kFlow},
      {S::kLingering, "lingering", Bit(S::kTunnel), C::kLinger, kDropsPeer, E::kNothing},
  }};
  // clang-format on
}();

constexpr const ProxyRow& RowOf(ProxyState state) { return kProxyRows[static_cast<size_t>(state)]; }
static_assert([] {
  for (size_t i = 0; i < kProxyRows.size(); ++i) {
    if (static_cast<size_t>(kProxyRows[i].state) != i) return false;
  }
  return true;
}());

constexpr bool CanFollow(ProxyState from, ProxyState to) {
  return (RowOf(to).follows & Bit(from)) != 0;
}

// Of kTraffic: sending while bytes wait for the peer, reading otherwise.
struct Traffic {
  bool paused = false;         // the peer is not read: the client is slow, or the rate is limited
  bool sending = false;        // bytes wait for the peer
  bool awaits_client = false;  // the rest of the request is still to come, and no answer has come
};

constexpr ProxyClock TrafficClock(const Traffic& traffic) {
  if (traffic.paused) return ProxyClock::kNone;
  if (traffic.sending) return ProxyClock::kSend;
  return traffic.awaits_client ? ProxyClock::kNone : ProxyClock::kRead;
}

}  // namespace limpet::worker
