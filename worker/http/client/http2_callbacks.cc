#include "worker/http/client/http2_callbacks.h"

#include "worker/http/client/http2_connection.h"

namespace limpet::worker {
namespace {

Http2Connection& Self(void* user) { return *static_cast<Http2Connection*>(user); }

std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

const nghttp2_session_callbacks* Http2Callbacks::Table() {
  using Session = nghttp2_session;
  using Frame = nghttp2_frame;
  static nghttp2_session_callbacks* const table = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_before_frame_send_callback(
        made, [](Session*, const Frame* frame, void* user) noexcept {
          return Self(user).OnBeforeSend(*frame);
        });
    nghttp2_session_callbacks_set_on_begin_frame_callback(
        made, [](Session*, const nghttp2_frame_hd* frame, void* user) noexcept {
          return Self(user).OnBeginFrame(*frame);
        });
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        made, [](Session*, const Frame* frame, void* user) noexcept {
          return Self(user).OnBeginHeaders(*frame);
        });
    nghttp2_session_callbacks_set_on_header_callback(
        made, [](Session*, const Frame* frame, const uint8_t* name, size_t name_size,
                 const uint8_t* value, size_t value_size, uint8_t, void* user) noexcept {
          return Self(user).OnHeader(*frame, Text(name, name_size), Text(value, value_size));
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        made, [](Session*, const Frame* frame, void* user) noexcept {
          return Self(user).OnFrame(*frame);
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        made, [](Session*, uint8_t flags, int32_t id, const uint8_t* data, size_t size,
                 void* user) noexcept {
          const bool is_last = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
          return Self(user).OnData(id, is_last, Text(data, size));
        });
    nghttp2_session_callbacks_set_on_frame_send_callback(
        made, [](Session*, const Frame* frame, void* user) noexcept {
          Self(user).OnFrameSent(*frame);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        made, [](Session*, int32_t id, uint32_t, void* user) noexcept {
          Self(user).OnStreamClosed(id);
          return 0;
        });
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        made, [](Session*, const Frame*, int, void* user) noexcept {
          Self(user).NoteProvokedReset();
          return 0;
        });
    // A frame of a type that we do not know has been counted; what is in it goes (RFC 9113 5.5).
    nghttp2_session_callbacks_set_unpack_extension_callback(
        made, [](Session*, void**, const nghttp2_frame_hd*, void*) noexcept {
          return static_cast<int>(NGHTTP2_ERR_CANCEL);
        });
    nghttp2_session_callbacks_set_data_source_read_length_callback(
        made, [](Session*, uint8_t, int32_t, int32_t, int32_t, uint32_t most_in_frame,
                 void*) noexcept { return static_cast<ssize_t>(most_in_frame); });
    nghttp2_session_callbacks_set_send_data_callback(
        made, [](Session*, Frame* frame, const uint8_t* frame_head, size_t length,
                 nghttp2_data_source*, void* user) noexcept {
          return Self(user).SendData(frame->hd.stream_id, Text(frame_head, kFrameHead), length);
        });
    return made;
  }();
  return table;
}

}  // namespace limpet::worker
