// Where the frames of a WebSocket end (RFC 6455 5.2), for who must say something between two of
// them. Looks at headers only; nothing is kept but what is left of a frame.
#pragma once

#include <cstdint>
#include <string_view>

namespace limpet::proto {

class WebSocketFrames {
 public:
  // How many of the bytes belong to the frame under way; between two frames, to the next one.
  size_t Take(std::string_view bytes);
  void TakeAll(std::string_view bytes) {
    while (!bytes.empty()) bytes.remove_prefix(Take(bytes));
  }
  bool between_frames() const { return header_size_ == 0 && payload_left_ == 0; }
  void Reset() { *this = {}; }

 private:
  size_t TakeHeader(std::string_view bytes);
  size_t HeaderNeeds() const;

  uint8_t header_[14]{};
  uint8_t header_size_ = 0;  // of an incomplete one
  uint64_t payload_left_ = 0;
};

// A server's frame: it goes away, and its client may come back.
inline constexpr std::string_view kGoingAway = "\x88\x02\x03\xe9";

}  // namespace limpet::proto
