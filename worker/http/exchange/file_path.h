// From a URI to the file it names: root and alias. Paths are absolute, lie in the exchange's arena,
// and have a zero byte behind their end, so that data() can be given to the system.
#pragma once

#include <string_view>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

struct FilePath {
  std::string_view path;
  size_t root_size = 0;  // bytes that root or alias gave
  int status = 0;        // why there is none: of the answer; 0: there is
  explicit operator bool() const { return status == 0; }
};

// Whether a path or URI has a segment ".." that its configuration `written` has not: a variable
// brought it, or the beginning of what a prefix left ("/files../x" below "/files"). Nobody gets
// what it leads to. $request_uri is asked for as the client sent it, and is not looked at.
bool Climbs(std::string_view path, std::string_view written);

// The same for a path that the system is given as it is, with a line in the log: a log, users,
// certificates, a socket. A zero byte would end it early.
bool IsUnsafePath(const Exchange& exchange, std::string_view path, std::string_view written);

// $document_root: root or alias, evaluated.
std::string_view DocumentRoot(Exchange& exchange);

// The path of the request's URI, with `more` behind it: $request_filename. None (and a line in the
// log) for an alias whose location no longer matches the URI, and for a path that climbs.
FilePath MapUriToPath(Exchange& exchange, std::string_view more = {});

// The bytes of the URI that an alias stands for; 0 without alias, npos in a regex location.
size_t AliasedPrefix(const conf::Location& location);

// `text` with a zero byte behind it.
std::string_view WithZero(Arena& arena, std::string_view text);

}  // namespace limpet::worker
