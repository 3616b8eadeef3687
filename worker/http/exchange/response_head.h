// A response's head as values, complete and checked: a client stream composes its bytes from them.
// Views live until the call that has them returns. Fields of the hop are the stream's own business.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/headers.h"

namespace limpet::worker {

struct ResponseHead {
  int status = 0;
  std::string_view status_line;  // "200 Fine": an upstream's own; empty: built from status
  // The fields go out in this order; "" and null: left out.
  std::string_view server;
  std::string_view date;
  std::string_view content_type;
  int64_t content_length = -1;  // -1: left out
  std::string_view last_modified;
  std::string_view location;  // null: left out; "" is a Location, too
  bool vary_gzip = false;
  std::string_view etag;
  const proto::HeaderList* fields = nullptr;

  bool no_body = false;      // the head is the end of the response
  bool chunked = false;      // the body's length is told by its end
  bool is_upgrade = false;   // 101: a tunnel follows
  int64_t keep_alive_s = 0;  // of Keep-Alive: timeout=; 0: left out
};

}  // namespace limpet::worker
