// The upstream side of an exchange: chooses a peer, sends the request, reads the response, tries another peer when the one
// failed and nothing has reached the client yet. One per exchange that proxies; reused.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "conf/proxy.h"
#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"
#include "worker/http/request_body.h"
#include "worker/net/output_queue.h"
#include "worker/net/transport.h"
#include "worker/sticky/sticky.h"
#include "worker/upstream/peer_selection.h"
#include "worker/upstream/pool.h"

namespace limpet::worker {

class Exchange;
class UpstreamRuntime;

}  // namespace limpet::worker
