#include "proto/websocket.h"

#include <algorithm>

namespace limpet::proto {
namespace {

constexpr uint8_t kLength = 0x7F, kMasked = 0x80;
constexpr size_t kMaskSize = 4;

size_t LengthSize(uint8_t second) {
  const uint8_t length = second & kLength;
  return length == 127 ? 8 : length == 126 ? 2 : 0;
}

}  // namespace

size_t WebSocketFrames::HeaderNeeds() const {
  if (header_size_ < 2) return 2;
  return 2 + LengthSize(header_[1]) + ((header_[1] & kMasked) != 0 ? kMaskSize : 0);
}

size_t WebSocketFrames::TakeHeader(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && header_size_ < HeaderNeeds())
    header_[header_size_++] = static_cast<uint8_t>(bytes[used++]);
  if (header_size_ < HeaderNeeds()) return used;
  const size_t size = LengthSize(header_[1]);
  payload_left_ = size == 0 ? header_[1] & kLength : 0;
  for (size_t i = 0; i < size; ++i) payload_left_ = payload_left_ << 8 | header_[2 + i];
  header_size_ = 0;
  return used;
}

size_t WebSocketFrames::Take(std::string_view bytes) {
  const size_t header = payload_left_ == 0 ? TakeHeader(bytes) : 0;
  const size_t payload = std::min<uint64_t>(payload_left_, bytes.size() - header);
  payload_left_ -= payload;
  return header + payload;
}

}  // namespace limpet::proto
