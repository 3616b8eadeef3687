// The request target (RFC 9112 3.2) and the path in it, normalised as nginx does: percent-decoded,
// dot segments resolved, slashes merged. Locations are matched against the result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/http1/message.h"

namespace limpet::proto {

enum class TargetForm : uint8_t {
  kOrigin,     // /path?args
  kAbsolute,   // http://host/path?args
  kAuthority,  // host:port, CONNECT only
  kAsterisk,   // *, OPTIONS only
};

struct Target {
  TargetForm form = TargetForm::kOrigin;
  std::string_view scheme;     // absolute form only, as sent
  std::string_view authority;  // absolute and authority form: host with port as sent; a valid host
  std::string_view unparsed;   // path and arguments as sent: $request_uri; "/" for http://host
  // The normalised, decoded path: $uri. Always begins with '/', but for kAsterisk.
  std::string_view uri;
  std::string_view args;  // behind '?', up to '#', never decoded: $args
  bool has_args = false;  // there was a '?', maybe with nothing behind it: $is_args asks for args,
                          // this does not
  bool escaped = false;   // the path had %XX: whoever writes uri to the wire must escape it again
  // `unparsed` may go to an upstream as it is. False if it has no path ("http://host?a=1"): write
  // uri and args then.
  bool forwardable = true;
};

// Takes a target apart. `storage` holds the decoded path if it differs from the sent one (else uri
// is a view of `text`); both must outlive `out`. False: 400, nginx logs "client sent invalid
// request".
bool ParseTarget(std::string_view text, Method method, bool merge_slashes, std::string* storage,
                 Target* out);

// The same for a path that comes from configuration or a header (X-Accel-Redirect, rewrite):
// path[?args].
bool ParsePath(std::string_view text, bool merge_slashes, std::string* storage, Target* out);

// How many segments of a path are "..". A path that one of the above has made has none.
size_t UpwardSegments(std::string_view path);

struct HostAndPort {
  // Lower case, without port and without a final dot; an IPv6 literal keeps its brackets.
  std::string_view host;
  uint16_t port = 0;  // 0 if none was given
};

// Checks a Host header or an authority as nginx does. `storage` holds the lower-case host if `text`
// had upper case; both must outlive `out`. False if it is not a host, and for an empty one. (An
// empty Host header is an error only if it was sent: the caller knows.)
bool ValidateHost(std::string_view text, std::string* storage, HostAndPort* out);

}  // namespace limpet::proto
