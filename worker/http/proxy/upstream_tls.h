// How a location speaks TLS to a peer.
#pragma once

#include <string_view>

#include "worker/tls/tls_transport.h"

namespace limpet::worker {

class Exchange;
struct Peer;

// The name is proxy_ssl_name's, else the host of `proxy_host`; its port is taken off. The context
// is null if the location has none.
TlsTarget MakeTlsTarget(Exchange& exchange, std::string_view proxy_host, const Peer& peer);

// The certificate to show on a new connection, if its name has variables. False: it cannot be read
// (logged).
bool ChooseClientCertificate(Exchange& exchange, TlsTarget* target);

}  // namespace limpet::worker
