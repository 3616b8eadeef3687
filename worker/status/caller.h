// Whether a call of the state API, or a look at a page that says what limpet knows, can be what its
// operator meant. A web page must neither make a browser send a change, nor read or change anything
// under a name of its own that it has let point here (DNS rebinding).
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/headers.h"

namespace limpet::worker {

struct Caller {
  std::string_view host;     // lower case, without the port; "" if the request named none
  uint16_t port = 0;         // that it named with the host; 0: none
  bool is_our_name = false;  // `host` is a server_name
  bool changes = false;      // the method is another than GET and HEAD
  const proto::HeaderList& headers;
};

// "", or why the call is refused.
std::string_view RefuseCaller(const Caller& caller);

}  // namespace limpet::worker
