// The response of an exchange as the features see it, before it is written. Fields that limpet
// itself writes into every head (Server, Date, Content-Type, Content-Length, Last-Modified,
// Location, framing and Connection) are members; all other fields are in `headers`, in the order
// they go out. Views live in the exchange's arena, in static memory, or in the upstream's head
// block.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proto/headers.h"

namespace limpet::worker {

struct ResponseValues {
  int status = 0;
  bool own_server = true;  // false: proxy_pass_header shows the upstream's, or none
  bool own_date = true;
  std::string_view status_line;  // "200 Fine": an upstream's own; empty: built from status
  int64_t content_length = -1;   // -1: not known before the end
  std::string_view content_type;
  std::string_view server;  // replaces our own Server field; of an upstream with proxy_pass_header
  std::string_view date;
  std::string_view location;            // may still be relative: made absolute when written
  int64_t last_modified = -1;           // seconds; -1: none
  std::string_view last_modified_text;  // an upstream's own spelling
  std::string_view etag;
  bool allow_ranges = false;      // the body can be cut: files
  bool hides_body = false;        // HEAD, 204, 304: a head only
  bool chunked = false;           // decided when the head is written
  bool is_upgrade = false;        // 101 from an upstream
  bool expects_trailers = false;  // an upstream's Trailer header: its trailers are passed on
  bool vary_gzip = false;
  bool has_own_fields = false;  // add_header and expires are in it
  bool from_upstream = false;
};

struct Response : ResponseValues {
  proto::HeaderList headers;

  const proto::HeaderList& trailers() const { return trailers_ != nullptr ? *trailers_ : kNone; }
  proto::HeaderList& TrailersToFill() {
    if (trailers_ == nullptr) trailers_ = std::make_unique<proto::HeaderList>();
    return *trailers_;
  }

  void Reset() {
    static_cast<ResponseValues&>(*this) = {};
    headers.Clear();  // their capacity is worth keeping
    if (trailers_ != nullptr) trailers_->Clear();
  }

 private:
  inline static const proto::HeaderList kNone;
  std::unique_ptr<proto::HeaderList> trailers_;  // null before the first: few have any
};

}  // namespace limpet::worker
