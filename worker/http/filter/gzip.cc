#include "worker/http/filter/gzip.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "conf/named_groups.h"
#include "proto/negotiation.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/mime.h"
#include "worker/http/filter/browsers.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

constexpr int kWindowBits = 15;
constexpr int kMemoryLevel = 8;
constexpr int kGzipFormat = 16;  // zlib: added to the window bits

// What limpet says about itself is long and says much twice: it is packed unless the configuration
// says how.
const conf::GzipSettings& SettingsFor(const conf::Location& location) {
  const conf::GzipSettings& configured = location.response.gzip;
  if (configured.on || !(location.api || location.prometheus || location.dashboard))
    return configured;
  static const conf::GzipSettings own = {.on = true,
                                         .min_length = 1024,
                                         .vary = true,
                                         .types = {"application/json", "text/plain", "text/html"}};
  return own;
}

// gzip_disable: browsers that cannot take what they ask for.
bool IsDisabledFor(conf::VariableReader& reader, const conf::GzipSettings& settings,
                   std::string_view agent) {
  if (settings.disabled_for_msie6 && IsOldMsie(agent)) return true;
  return std::any_of(
      settings.disabled_for.begin(), settings.disabled_for.end(),
      [&](const auto& regex) { return conf::Matches(reader, *regex, agent, nullptr); });
}

bool HasExpired(std::string_view expires, const Response& response, int64_t now) {
  const int64_t at = ParseHttpDate(std::string(expires));
  if (at == -1) return false;
  const int64_t date = response.date.empty() ? now : ParseHttpDate(std::string(response.date));
  return date != -1 && at < date;
}

// gzip_proxied: a request that came by way of another proxy (it has Via).
bool TakenThroughProxy(uint32_t proxied, const proto::HeaderList& request, const Response& response,
                       int64_t now) {
  using namespace conf;
  const auto allows = [proxied](uint32_t bit) { return (proxied & bit) != 0; };
  if (proxied == 0 || allows(kGzipProxiedOff)) return false;
  if (allows(kGzipProxiedAny)) return true;
  if (allows(kGzipProxiedAuth) && request.Has(HeaderId::kAuthorization)) return true;
  const proto::HeaderList& headers = response.headers;
  if (const proto::Header* expires = headers.Find(HeaderId::kExpires)) {
    return allows(kGzipProxiedExpired) && HasExpired(expires->value, response, now);
  }
  if (headers.Has(HeaderId::kCacheControl)) {
    const auto says = [&](uint32_t bit, std::string_view token) {
      return allows(bit) && headers.HasToken(HeaderId::kCacheControl, token);
    };
    return says(kGzipProxiedNoCache, "no-cache") || says(kGzipProxiedNoStore, "no-store") ||
           says(kGzipProxiedPrivate, "private");
  }
  const bool has_modified = response.last_modified != -1 || !response.last_modified_text.empty();
  if (allows(kGzipProxiedNoLastModified) && has_modified) return false;
  return !(allows(kGzipProxiedNoEtag) && !response.etag.empty());
}

}  // namespace

bool IsGzipCandidate(const conf::GzipSettings& settings, const Response& response) {
  if (!settings.on) return false;
  if (response.status != 200 && response.status != 403 && response.status != 404) return false;
  if (!response.headers.Value(HeaderId::kContentEncoding).empty()) return false;
  if (response.content_length != -1 && response.content_length < settings.min_length) return false;
  return IsOneOfTypes(settings.types, settings.any_type, response.content_type);
}

bool ClientTakesGzip(conf::VariableReader& reader, const conf::GzipSettings& settings,
                     const proto::RequestHead& request, const Response& response, int64_t now) {
  const proto::Header* accept = request.headers.Find(HeaderId::kAcceptEncoding);
  if (accept == nullptr || !proto::AcceptsGzip(accept->value)) return false;
  const int version = request.version_major * 10 + std::min(request.version_minor, 1);
  if (version < settings.http_version) return false;
  const proto::Header* agent = request.headers.Find(HeaderId::kUserAgent);
  if (agent != nullptr && IsDisabledFor(reader, settings, agent->value)) return false;
  if (!request.headers.Has(HeaderId::kVia)) return true;
  return TakenThroughProxy(settings.proxied, request.headers, response, now);
}

std::string_view WeakEtag(std::string_view etag, Arena& arena) {
  if (etag.starts_with("W/")) return etag;
  if (!etag.starts_with('"')) return {};
  return arena.Concat("W/", etag);
}

GzipFilter::GzipFilter(BlockPool& pool, BodyFilter* next, int level, int64_t length)
    : ZlibFilter(pool, next) {
  // A small body needs no large window.
  int window = kWindowBits, memory = kMemoryLevel;
  while (length > 0 && window > 9 && length < (1 << (window - 1)) - 262) {
    --window;
    memory = std::max(memory - 1, 1);
  }
  deflateInit2(&zlib_, level, Z_DEFLATED, window + kGzipFormat, memory, Z_DEFAULT_STRATEGY);
}

GzipFilter::~GzipFilter() { deflateEnd(&zlib_); }

void GzipFilter::Deflate(std::string_view bytes, int flush) {
  SetInput(bytes);
  for (;;) {
    if (!BlockHasRoom()) NewBlock();
    const int result = deflate(&zlib_, flush);
    if (result == Z_STREAM_END || result == Z_STREAM_ERROR) return;
    if (zlib_.avail_in == 0 && zlib_.avail_out != 0) return;
  }
}

size_t GzipFilter::Take(std::string_view bytes) {
  Deflate(bytes, Z_NO_FLUSH);
  return bytes.size();
}

void GzipFilter::GiveAll() {
  Deflate({}, Z_SYNC_FLUSH);
  PassOn();
}

bool GzipFilter::GiveEnd() {
  Deflate({}, Z_FINISH);
  PassOn();
  block_.Reset();
  complete_ = true;
  return true;
}

std::string GzipFilter::Ratio() const {
  if (!complete_ || zlib_.total_out == 0) return "";
  const uint64_t hundredths = zlib_.total_in * 1000 / zlib_.total_out;
  const uint64_t rounded = (hundredths + 5) / 10;
  return fmt::format("{}.{:02}", rounded / 100, rounded % 100);
}

std::unique_ptr<BodyFilter> MakeGzipFilter(Exchange& exchange, BodyFilter* next) {
  const conf::GzipSettings& settings = SettingsFor(exchange.location());
  Response& response = exchange.response();
  if (!IsGzipCandidate(settings, response)) return nullptr;
  response.vary_gzip = settings.vary;
  if (!ClientTakesGzip(exchange, settings, *exchange.request().head, response,
                       exchange.runtime().WallSeconds())) {
    return nullptr;
  }
  auto filter = std::make_unique<GzipFilter>(exchange.runtime().blocks, next, settings.level,
                                             response.content_length);
  response.headers.Add(HeaderId::kContentEncoding, "Content-Encoding", "gzip");
  response.headers.RemoveAll(HeaderId::kAcceptRanges);
  response.content_length = -1;
  response.allow_ranges = false;
  response.etag = WeakEtag(response.etag, exchange.arena());
  return filter;
}

}  // namespace limpet::worker
