// The heads that a proxied exchange writes anew: the request's towards the peer, and what of the
// peer's response the client gets to see. Nothing here does I/O or keeps state.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/http1/message.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/proxy_plan.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {

// Where a request goes, as proxy_pass says. For one with variables: what its URL evaluated to.
struct UpstreamTarget {
  std::string_view host;  // $proxy_host
  std::string_view uri;   // the URL's own URI; "" if it has none
  // Of a URL with variables: `uri` is not a replacement of the location's prefix.
  bool uri_is_whole = false;
};

// How the body that follows the head is framed. Ignored under proxy_set_body, whose body is part of
// what is built.
struct UpstreamBody {
  int64_t length = -1;   // -1: there is none
  bool chunked = false;  // streamed, of unknown length
};

// The request URI for the upstream; never empty. In the arena, or a view of the request's.
std::string_view UpstreamUri(const Request& request, const UpstreamTarget& target, Arena& arena);

// Queues request line and headers, and the whole body if proxy_set_body gives one. May be called
// again for another peer. `uri` is of UpstreamUri. Returns "", or the name of a field whose value
// cannot be sent (CR, LF or NUL; "proxy_method": no token): then `out` holds a piece of a head that
// must go nowhere. A request is not sent without a field: the peer may decide by it.
[[nodiscard]] std::string_view BuildUpstreamRequest(Exchange& exchange, std::string_view proxy_host,
                                                    std::string_view uri, const UpstreamBody& body,
                                                    OutputQueue* out);

// Whether the client asks for another protocol, and the request towards the peer says so.
bool AsksToUpgrade(Exchange& exchange);

// The method the upstream is asked with, as far as it matters to the body of its response.
proto::Method UpstreamMethod(Exchange& exchange);

// The same without an exchange: `uri` and `proxy_host` have been worked out.
[[nodiscard]] std::string_view WriteUpstreamRequest(
    conf::VariableReader& reader, const Request& request, const conf::ProxySettings& proxy,
    const ProxyPlan& plan, std::string_view proxy_host, std::string_view uri, UpstreamBody body,
    OutputQueue* out);

// Copies what the client may see of an upstream's head into exchange.response(): status, headers
// and their special fields, rewritten where the location says so. Not framing: content_length is
// the caller's. The views are those of `head`.
void FilterUpstreamHead(Exchange& exchange, const proto::ResponseHead& head);

// Copies an upstream's trailers into exchange.response(), under proxy_pass_trailers.
void FilterUpstreamTrailers(Exchange& exchange, const proto::HeaderList& trailers);

}  // namespace limpet::worker
