// A client of HTTP/2 before a worker whose other ends the test holds.
#pragma once

#include <string>
#include <string_view>

#include "tests/worker/http/client/client_fixture.h"
#include "tests/worker/http/client/http2_client.h"

namespace limpet::worker {

inline constexpr std::string_view kHttp2Servers = R"(
  client_header_timeout 10s;
  client_body_timeout 20s;
  send_timeout 30s;
  keepalive_timeout 40s;
  lingering_time 8s;
  lingering_timeout 3s;
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    http2 on;
    http2_websocket on;
    http2_max_concurrent_streams 2;
    location / { return 200 "hello"; }
    location /file { alias @FILES@/page; }
    location /gone { return 200 "gone"; }
    location /proxy { error_page 502 /gone; proxy_pass http://app; }
    location /stream { proxy_pass http://app; proxy_request_buffering off; }
    location /asked { auth_request /ask; proxy_pass http://app; proxy_request_buffering off; }
    location /ask { internal; proxy_pass http://app; proxy_pass_request_body off; }
    location /chat {
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_pass http://app;
    }
    location /small { client_max_body_size 5; proxy_pass http://app; }
    location /mirror { mirror /copy; alias @FILES@/page; }
    location /copy { internal; proxy_pass http://app/; }
    location /ignore { proxy_pass http://app; proxy_ignore_client_abort on; }
  }
)";

class Http2Test : public ClientTest {
 protected:
  explicit Http2Test(std::string_view servers = kHttp2Servers) : ClientTest(servers) {}

  // A client whose SETTINGS and ours are known to both.
  void Open(std::string_view settings = "") {
    Connect();
    Send(std::string(http2::kPreface) + http2::Frame(NGHTTP2_SETTINGS, 0, 0, settings) +
         http2::Frame(NGHTTP2_SETTINGS, http2::kAck, 0, ""));
    Frames();
  }

  std::string Frames() { return client_.Read(Written()); }
  std::string Reply(std::string_view bytes) {
    Send(bytes);
    return Frames();
  }

  std::string Post(uint32_t stream, std::string_view path, std::string_view length = "10") {
    return client_.Head(stream, "POST", path, http2::kEndHeaders, {{"content-length", length}});
  }

  Http2Client client_;
};

}  // namespace limpet::worker
