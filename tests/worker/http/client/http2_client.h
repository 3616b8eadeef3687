// The frames of an HTTP/2 client, composed by hand, and what a server says as one can read it.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace limpet::worker {

namespace http2 {

constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
std::string Number32(uint32_t value);
std::string Setting(uint16_t id, uint32_t value);  // a payload of SETTINGS
std::string Data(uint32_t stream, std::string_view bytes, uint8_t flags = 0);
std::string WindowUpdate(uint32_t stream, uint32_t by);
std::string ResetStream(uint32_t stream, uint32_t error);
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace http2

// HPACK of one connection, both ways.
class Http2Client {
 public:
  Http2Client();
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  std::string Block(Fields fields);
  // Head of a request for http://a/PATH.
  std::string Head(uint32_t stream, std::string_view method, std::string_view path, uint8_t flags,
                   Fields more = {});
  std::string Get(uint32_t stream, std::string_view path);

  // Frames of the server as a line: HEADERS(1,200) DATA(1,5)+END RST_STREAM(1,8) GOAWAY(1,0)
  // PING+ACK
  std::string Read(std::string_view bytes);

 private:
  std::string Tell(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  std::string StatusOf(std::string_view block);

  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string unread_;
};

}  // namespace limpet::worker
