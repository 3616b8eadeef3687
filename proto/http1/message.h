// What a parsed head is: the values that the parsers hand out and that framing and all of
// worker/http read. All views point into the bytes that were parsed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/headers.h"

namespace limpet::proto {

enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kConnect,
  kTrace,
  kPatch,
  kMkcol,
  kCopy,
  kMove,
  kPropfind,
  kProppatch,
  kLock,
  kUnlock,
  kOther,  // any other [A-Z_-]+; its name is in RequestHead::method_name
};

Method LookupMethod(std::string_view name);  // case matters (RFC 9110 9.1)
std::string_view Name(Method method);        // "GET"; "" for kOther

// The options of all Connection headers together. "close" wins over "keep-alive".
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
};
ConnectionOptions ReadConnection(const HeaderList& headers);

struct RequestHead {
  Method method = Method::kOther;
  int version_major = 1;
  int version_minor = 0;          // 9 with major 0 for an HTTP/0.9 request (no version, no headers)
  std::string_view request_line;  // as sent, without its line end: $request
  std::string_view method_name;
  std::string_view target;    // as sent; ParseTarget (proto/target.h) takes it apart
  std::string_view protocol;  // "HTTP/1.1"; "" in HTTP/0.9: $server_protocol
  ConnectionOptions connection;
  HeaderList headers;

  bool is_http09() const { return version_major == 0; }
  // At least 1.1: 1.2 and later are read as 1.1, and HTTP/2 can whatever that can.
  bool is_http11() const { return version_major > 1 || (version_major == 1 && version_minor >= 1); }
  // Whether the client lets the connection live on (RFC 9112 9.3).
  bool keep_alive() const { return !connection.close && (is_http11() || connection.keep_alive); }
};

struct ResponseHead {
  int status = 0;
  int version_major = 1;
  int version_minor = 0;
  std::string_view status_line;  // "200 OK": the code and what follows it, as sent
  std::string_view reason;       // may be ""
  ConnectionOptions connection;
  HeaderList headers;

  bool is_http11() const { return version_major == 1 && version_minor >= 1; }
  // 1xx but 101: another head follows (RFC 9110 15.2).
  bool is_interim() const { return status >= 100 && status < 200 && status != 101; }
  bool keep_alive() const {
    return is_http11() ? !connection.close : connection.keep_alive && !connection.close;
  }
};

enum class HeadStatus : uint8_t { kIncomplete, kComplete, kError };

// Why a head was refused. `reason` is nginx's wording for the error log and has static lifetime;
// `detail` is the offending line (a view into the parsed bytes, maybe shortened), shown quoted
// after the reason; often empty.
struct HeadError {
  // For the client; 0 means no error. 494 is shown to it as 400 (nginx does so too).
  int status = 0;
  std::string_view reason;
  std::string_view detail;
};

}  // namespace limpet::proto
