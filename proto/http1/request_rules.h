// What a request head must satisfy as a whole before it is routed: the checks that need more than
// one line.
#pragma once

#include "proto/http1/framing.h"
#include "proto/http1/message.h"

namespace limpet::proto {

// Host (exactly one in HTTP/1.1, none doubled; RFC 9112 3.2), headers that may come only once,
// framing, methods that a reverse proxy does not serve (CONNECT, TRACE: 405). `error.status` 0
// means all is well. The Host value itself is checked by ValidateHost (proto/target.h).
// `framing`: what has been decided of this head.
HeadError CheckRequest(const RequestHead& head, const Framing& framing);
// The parts of it that hold for HTTP/2 as well, where Host has rules of its own.
HeadError CheckFields(const RequestHead& head, const Framing& framing);
HeadError CheckMethod(const RequestHead& head);

}  // namespace limpet::proto
