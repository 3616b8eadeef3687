// What has failed on a transport, as a line of the log says it: "recv() failed (104: Connection
// reset by peer)", or with TLS "SSL_read() failed (SSL: …)".
#pragma once

#include <string>

#include "worker/net/transport.h"

namespace limpet::worker {

// Of the last Read that said kError.
inline std::string ReadFailure(const Transport& transport) {
  return (transport.is_tls() ? "SSL_read() failed" : "recv() failed") + transport.ErrorText();
}

// Of the last Writev or SendFile that did.
inline std::string WriteFailure(const Transport& transport) {
  return (transport.is_tls() ? "SSL_write() failed" : "writev() failed") + transport.ErrorText();
}

}  // namespace limpet::worker
