// The memory of nghttp2's sessions and streams: a worker's. Each session has a buffer for a frame
// of 16 KB, most of which stays empty.
#pragma once

#include <nghttp2/nghttp2.h>

#include "worker/net/buffer.h"

namespace limpet::worker {

// For nghttp2_session_server_new3, which copies it.
nghttp2_mem Http2Memory(BlockPool& memory);

}  // namespace limpet::worker
