#include "proto/status.h"

#include <algorithm>
#include <array>

namespace limpet::proto {
namespace {

struct Row {
  int code;
  std::string_view text;
};

constexpr std::array kRows = {
    Row{100, "100 Continue"},
    Row{101, "101 Switching Protocols"},
    Row{103, "103 Early Hints"},
    Row{200, "200 OK"},
    Row{201, "201 Created"},
    Row{202, "202 Accepted"},
    Row{204, "204 No Content"},
    Row{206, "206 Partial Content"},
    Row{301, "301 Moved Permanently"},
    Row{302, "302 Moved Temporarily"},
    Row{303, "303 See Other"},
    Row{304, "304 Not Modified"},
    Row{307, "307 Temporary Redirect"},
    Row{308, "308 Permanent Redirect"},
    Row{400, "400 Bad Request"},
    Row{401, "401 Unauthorized"},
    Row{402, "402 Payment Required"},
    Row{403, "403 Forbidden"},
    Row{404, "404 Not Found"},
    Row{405, "405 Not Allowed"},
    Row{406, "406 Not Acceptable"},
    Row{407, "407 Proxy Authentication Required"},
    Row{408, "408 Request Time-out"},
    Row{409, "409 Conflict"},
    Row{410, "410 Gone"},
    Row{411, "411 Length Required"},
    Row{412, "412 Precondition Failed"},
    Row{413, "413 Request Entity Too Large"},
    Row{414, "414 Request-URI Too Large"},
    Row{415, "415 Unsupported Media Type"},
    Row{416, "416 Requested Range Not Satisfiable"},
    Row{421, "421 Misdirected Request"},
    Row{429, "429 Too Many Requests"},
    Row{500, "500 Internal Server Error"},
    Row{501, "501 Not Implemented"},
    Row{502, "502 Bad Gateway"},
    Row{503, "503 Service Temporarily Unavailable"},
    Row{504, "504 Gateway Time-out"},
    Row{505, "505 HTTP Version Not Supported"},
    Row{507, "507 Insufficient Storage"},
};
static_assert(std::is_sorted(kRows.begin(), kRows.end(),
                             [](Row a, Row b) { return a.code < b.code; }));

}  // namespace

std::string_view StatusText(int code) {
  const auto row =
      std::lower_bound(kRows.begin(), kRows.end(), code, [](Row r, int c) { return r.code < c; });
  return row != kRows.end() && row->code == code ? row->text : std::string_view();
}

std::string_view ReasonPhrase(int code) {
  const std::string_view text = StatusText(code);
  return text.substr(std::min<size_t>(4, text.size()));
}

}  // namespace limpet::proto
