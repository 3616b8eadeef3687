// gunzip: what an upstream has compressed goes unpacked to a client that does not take it so.
#include "worker/http/filter/gunzip.h"

#include <fmt/core.h>

#include "base/text.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/filter/gzip.h"
#include "worker/http/filter/zlib_filter.h"

namespace limpet::worker {
namespace {

constexpr int kGzipOnly = MAX_WBITS + 16;  // zlib: any window, gzip's own format

class GunzipFilter final : public ZlibFilter {
 public:
  GunzipFilter(BlockPool& pool, BodyFilter* next) : ZlibFilter(pool, next) {
    inflateInit2(&zlib_, kGzipOnly);
  }
  ~GunzipFilter() override { inflateEnd(&zlib_); }

 private:
  size_t Take(std::string_view bytes) override {
    SetInput(bytes);
    Inflate();
    PassOn();
    return bytes.size() - zlib_.avail_in;
  }

  // The block at hand is full, and there may be more in zlib.
  bool Owes() const override { return owes_; }

  // A body that breaks off must not look complete.
  bool GiveEnd() override {
    block_.Reset();
    if (at_end_) return true;
    Fail("inflate() returned before the end of the response");
    return false;
  }

  void Inflate() {
    if (at_end_) {  // several members in a row are one body (RFC 1952 2.2)
      inflateReset(&zlib_);
      at_end_ = false;
    }
    if (!BlockHasRoom()) NewBlock();
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    at_end_ = result == Z_STREAM_END;
    const bool nothing_left = result == Z_BUF_ERROR && zlib_.avail_in == 0;
    owes_ = !at_end_ && !nothing_left && zlib_.avail_out == 0;
    if (result != Z_OK && !at_end_ && !nothing_left) {
      PassOn();
      Fail(fmt::format("inflate() failed: {}, {}", static_cast<int>(Z_NO_FLUSH), result));
    }
  }

  void Fail(std::string_view why) {
    owes_ = false;
    Break(why);
  }

  bool at_end_ = false;
  bool owes_ = false;
};

}  // namespace

bool Unpacks(Exchange& exchange) {
  const conf::ResponseSettings& settings = exchange.location().response;
  Response& response = exchange.response();
  if (!settings.gunzip || response.is_upgrade) return false;
  if (!EqualsIgnoreCase(response.headers.Value(proto::HeaderId::kContentEncoding), "gzip"))
    return false;
  response.vary_gzip = settings.gzip.vary;
  if (ClientTakesGzip(exchange, settings.gzip, *exchange.request().head, response,
                      exchange.runtime().WallSeconds()))
    return false;
  response.headers.RemoveAll(proto::HeaderId::kContentEncoding);
  response.headers.RemoveAll(proto::HeaderId::kAcceptRanges);
  response.content_length = -1;
  response.allow_ranges = false;
  response.etag = WeakEtag(response.etag, exchange.arena());
  return true;
}

std::unique_ptr<BodyFilter> MakeGunzipFilter(Exchange& exchange, BodyFilter* next) {
  return std::make_unique<GunzipFilter>(exchange.runtime().blocks, next);
}

}  // namespace limpet::worker
