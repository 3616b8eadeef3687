// The memory of nghttp2's sessions and streams: a worker's SmallMemory.
#pragma once

#include <nghttp2/nghttp2.h>

#include "worker/net/small_memory.h"

namespace limpet::worker {

// For nghttp2_session_server_new3, which copies it.
nghttp2_mem Http2Memory(SmallMemory& memory);

}  // namespace limpet::worker
