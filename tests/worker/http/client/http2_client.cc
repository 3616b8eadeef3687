#include "tests/worker/http/client/http2_client.h"

#include <fmt/format.h>

#include <vector>

namespace limpet::worker {
namespace {

constexpr size_t kFrameHead = 9;

uint32_t NumberAt(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

namespace http2 {

std::string Number32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame = Number32(static_cast<uint32_t>(payload.size())).substr(1);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame.append(Number32(stream)).append(payload);
}

std::string Setting(uint16_t id, uint32_t value) {
  return Number32(id).substr(2) + Number32(value);
}

std::string Data(uint32_t stream, std::string_view bytes, uint8_t flags) {
  return Frame(NGHTTP2_DATA, flags, stream, bytes);
}

std::string WindowUpdate(uint32_t stream, uint32_t by) {
  return Frame(NGHTTP2_WINDOW_UPDATE, 0, stream, Number32(by));
}

std::string ResetStream(uint32_t stream, uint32_t error) {
  return Frame(NGHTTP2_RST_STREAM, 0, stream, Number32(error));
}

}  // namespace http2

Http2Client::Http2Client() {
  nghttp2_hd_deflate_new(&deflater_, 4096);
  nghttp2_hd_inflate_new(&inflater_);
}

Http2Client::~Http2Client() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

std::string Http2Client::Block(Fields fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields)
    list.push_back({Bytes(name), Bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  std::string block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const ssize_t n =
      nghttp2_hd_deflate_hd(deflater_, Bytes(block), block.size(), list.data(), list.size());
  block.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return block;
}

std::string Http2Client::Head(uint32_t stream, std::string_view method, std::string_view path,
                              uint8_t flags, Fields more) {
  std::string block =
      Block({{":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", path}});
  block += Block(more);  // after the other: both change the table
  return http2::Frame(NGHTTP2_HEADERS, flags, stream, block);
}

std::string Http2Client::Get(uint32_t stream, std::string_view path) {
  return Head(stream, "GET", path, http2::kEndHeaders | http2::kEndStream);
}

std::string Http2Client::Read(std::string_view bytes) {
  unread_ += bytes;
  std::string told;
  while (unread_.size() >= kFrameHead) {
    const size_t length = NumberAt(unread_, 0, 3);
    if (unread_.size() < kFrameHead + length) break;
    if (!told.empty()) told += ' ';
    told += Tell(static_cast<uint8_t>(unread_[3]), static_cast<uint8_t>(unread_[4]),
                 NumberAt(unread_, 5, 4), std::string_view(unread_).substr(kFrameHead, length));
    unread_.erase(0, kFrameHead + length);
  }
  return told;
}

std::string Http2Client::Tell(uint8_t type, uint8_t flags, uint32_t stream,
                              std::string_view payload) {
  const std::string_view ack = (flags & http2::kAck) != 0 ? "+ACK" : "";
  const std::string_view end = (flags & http2::kEndStream) != 0 ? "+END" : "";
  switch (type) {
    case NGHTTP2_DATA:
      return fmt::format("DATA({},{}){}", stream, payload.size(), end);
    case NGHTTP2_HEADERS:
      return fmt::format("HEADERS({},{}){}", stream, StatusOf(payload), end);
    case NGHTTP2_RST_STREAM:
      return fmt::format("RST_STREAM({},{})", stream, NumberAt(payload, 0, 4));
    case NGHTTP2_SETTINGS:
      return fmt::format("SETTINGS{}", ack);
    case NGHTTP2_PING:
      return fmt::format("PING{}", ack);
    case NGHTTP2_GOAWAY:
      return fmt::format("GOAWAY({},{})", NumberAt(payload, 0, 4), NumberAt(payload, 4, 4));
    case NGHTTP2_WINDOW_UPDATE:
      return fmt::format("WINDOW_UPDATE({},{})", stream, NumberAt(payload, 0, 4));
    default:
      return fmt::format("FRAME{}({})", type, stream);
  }
}

// Of a head that is one frame; "" of trailers.
std::string Http2Client::StatusOf(std::string_view block) {
  std::string status;
  while (true) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t n =
        nghttp2_hd_inflate_hd2(inflater_, &field, &flags, Bytes(block), block.size(), 1);
    if (n < 0) return "broken";
    block.remove_prefix(static_cast<size_t>(n));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 &&
        std::string_view(reinterpret_cast<char*>(field.name), field.namelen) == ":status")
      status.assign(reinterpret_cast<char*>(field.value), field.valuelen);
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return status;
}

}  // namespace limpet::worker
