// The calls from nghttp2 into a connection: one line each, no exception leaves them.
#pragma once

#include <nghttp2/nghttp2.h>

namespace limpet::worker {

struct Http2Callbacks {
  static const nghttp2_session_callbacks* Table();
};

}  // namespace limpet::worker
