// empty_gif: one transparent pixel.
#include <string_view>

#include "worker/http/exchange/exchange.h"
#include "worker/http/local/content.h"

namespace limpet::worker {
namespace {

using namespace std::string_view_literals;

// GIF89a, 1 x 1, two colours of which the first is transparent.
constexpr std::string_view kPixel =
    "GIF89a\x01\0\x01\0\x80\x01\0\0\0\0\xFF\xFF\xFF"
    "\x21\xF9\x04\x01\0\0\x01\0"
    "\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x4C\x01\0\x3B"sv;
constexpr int64_t kModified = 23349600;  // any date long ago: caches keep it

}  // namespace

Step EmptyGifContent(Exchange& exchange) {
  const proto::Method method = exchange.request().method;
  if (method != proto::Method::kGet && method != proto::Method::kHead) {
    exchange.Finish(405);
    return Step::kDone;
  }
  exchange.response().last_modified = kModified;
  exchange.Reply(200, "image/gif", kPixel);
  return Step::kDone;
}

}  // namespace limpet::worker
