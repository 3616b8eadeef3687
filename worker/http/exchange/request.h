// The request of an exchange as routing and the features see it. Views point into the connection's
// head block (it stays where it is until the exchange ends) or into the exchange's arena.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/socket_address.h"
#include "conf/config.h"
#include "proto/http1/framing.h"
#include "proto/http1/message.h"
#include "worker/http/exchange/client_info.h"

namespace limpet::shm {
struct ZoneLine;
}

namespace limpet::worker {

inline const SocketAddress kNoAddress;

struct Credentials {  // of HTTP basic authentication
  std::string_view user, password;
};

struct Request {
  const proto::RequestHead* head = nullptr;
  std::string_view method_name;
  std::string_view unparsed_uri;  // as sent: $request_uri
  std::string_view uri;           // decoded and normalised; changed by rewrites
  std::string_view args;
  std::string_view host;  // lower case, without the port; "" if the request named none
  proto::Framing framing;
  const conf::Server* server = nullptr;
  const conf::Location* location = nullptr;
  // The client's, after realip: of its connection, or in the exchange's arena.
  const SocketAddress* remote = &kNoAddress;
  std::string_view remote_host;              // as text
  const Credentials* credentials = nullptr;  // once asked for; null: it brings none
  uint64_t started_ms = 0;                   // CLOCK_MONOTONIC
  uint64_t head_length = 0;
  uint64_t number = 0;  // on its connection, from 1
  uint64_t body_received = 0;
  shm::ZoneLine* server_zone = nullptr;  // where it counts as being processed; null: nowhere
  int uri_changes = 10;                  // internal redirects left before we call it a cycle
  int access_status = 0;  // what access control will answer; 0: nothing, the request may go on
  uint16_t host_port = 0;
  proto::Method method = proto::Method::kGet;  // error_page and X-Accel-Redirect turn it into GET
  // Nothing was rewritten: unparsed_uri may go to an upstream as it is.
  bool uri_is_original = true;
  // False after `rewrite … break`: the URI is no longer what the location matched.
  bool under_location = true;
  bool root_tested = false;      // a file was found below root or alias, for no error page
  bool uri_under_alias = false;  // try_files has found a file below the alias of a regex location
  bool body_judged = false;      // its declared length, by the limit of a location
  // An `if` has named where to send the request, and a later one nothing: nobody can have it.
  bool proxy_lost = false;
  bool internal = false;  // came by an internal redirect
  // Made by us: no access control, and a log line only under log_subrequest.
  bool is_subrequest = false;
  bool credentials_parsed = false;
  bool pipelined = false;       // was in the buffer when its predecessor ended: $pipe
  bool access_granted = false;  // no more checks
  bool zone_asked = false;      // for the next, which the key may not tell

  const proto::HeaderList& headers() const { return head->headers; }
};

}  // namespace limpet::worker
