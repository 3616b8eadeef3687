// What is known of a client connection, for the requests on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/socket_address.h"
#include "conf/config.h"
#include "proto/proxy_protocol.h"

namespace limpet::worker {

class Transport;

// Lives as long as its connection.
struct ClientInfo {
  // Where the client has come to. Where the listening address is a wildcard the system is asked, by
  // the first who wants to know, while the connection is open; of a closed one it is the wildcard.
  const SocketAddress& local() const;

  uint64_t number = 0;  // *N in the error log, $connection
  SocketAddress remote;
  std::string remote_host;  // as text: $remote_addr before realip
  uint64_t started_ms = 0;
  uint64_t requests = 0;
  bool ssl = false;
  bool plain_on_tls = false;                     // plain HTTP on a port of TLS
  bool http2 = false;                            // it speaks HTTP/2
  std::unique_ptr<proto::ProxyInfo> proxy_info;  // null: it came without a PROXY header
  const conf::ListenGroup* listen = nullptr;
  const conf::Server* tls_server = nullptr;  // chosen by SNI
  const Transport* transport = nullptr;

 private:
  mutable std::unique_ptr<SocketAddress> asked_local_;
};

}  // namespace limpet::worker
