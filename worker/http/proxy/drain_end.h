// What has no end of its own, and how the end of its server's drain ends it: tunnels, and streams
// of which nobody knows how long they are. A WebSocket ends between two frames, if one ends soon.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/websocket.h"
#include "worker/http/proxy/endless.h"

namespace limpet::worker {

class DrainEnd {
 public:
  enum class Kind : uint8_t { kNone, kStream, kTunnel, kWebSocket };
  enum class Now : uint8_t {
    kWait,   // a frame has begun; told again soon, or LastBytes says when it has ended
    kEnd,    // there is nobody to say a word to
    kGoAway  // between two frames: the browser is told why
  };

  explicit DrainEnd(Callback on_over) : member_(on_over) {}

  void Watch(EndlessExchanges& all, const Peer& peer, Kind kind);
  void Leave();
  bool watching() const { return member_.joined(); }

  // The drain is over.
  Now OnOver();
  // Bytes of the peer pass. Not nothing: the drain was over, and a frame ends with so many of them;
  // they are the last.
  std::optional<size_t> LastBytes(std::string_view bytes);

 private:
  EndlessExchanges* all_ = nullptr;
  const Peer* peer_ = nullptr;
  EndlessExchanges::Member member_;
  proto::WebSocketFrames frames_;  // towards the client
  Kind kind_ = Kind::kNone;
  int looks_ = 0;  // since the drain was over; 0: it is not
};

}  // namespace limpet::worker
