// gzip of responses.
#include <algorithm>
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

using G = GzipSettings;
using R = ResponseSettings;

constexpr std::array kProxied = std::to_array<Choice<uint32_t>>({
    {"off", kGzipProxiedOff},
    {"expired", kGzipProxiedExpired},
    {"no-cache", kGzipProxiedNoCache},
    {"no-store", kGzipProxiedNoStore},
    {"private", kGzipProxiedPrivate},
    {"no_last_modified", kGzipProxiedNoLastModified},
    {"no_etag", kGzipProxiedNoEtag},
    {"auth", kGzipProxiedAuth},
    {"any", kGzipProxiedAny},
});
constexpr std::array kVersions = std::to_array<Choice<int>>({{"1.0", 10}, {"1.1", 11}});

// text/html is always among them.
Status Types(Block& b, const Directive& d) {
  G& gzip = b.location->response.gzip;
  if (b.First(&gzip.types)) {
    gzip.types = {"text/html"};
    gzip.any_type = false;
  }
  for (const std::string& word : d.args) {
    if (word == "*") {
      gzip.any_type = true;
      continue;
    }
    std::string type = ToLower(word);
    if (std::find(gzip.types.begin(), gzip.types.end(), type) == gzip.types.end())
      gzip.types.push_back(std::move(type));
  }
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr auto kResponse = &Location::response;

constexpr std::array kRows = std::to_array<Row>({
    {"gzip", kHere | kLocationIf, kOneArg, kOnce, Setting<Flag, kResponse, &R::gzip, &G::on>, "off",
     "compress responses"},
    {"gzip_comp_level", kHere, kOneArg, kOnce,
     Setting<Number<1, 9>, kResponse, &R::gzip, &G::level>, "1", "1 (fast) to 9 (small)"},
    {"gzip_min_length", kHere, kOneArg, kOnce, Setting<Size, kResponse, &R::gzip, &G::min_length>,
     "20", "shorter responses are not compressed"},
    {"gzip_http_version", kHere, kOneArg, kOnce,
     Setting<OneOf<kVersions>, kResponse, &R::gzip, &G::http_version>, "1.1",
     "oldest version of a request that gets compressed responses"},
    {"gzip_vary", kHere, kOneArg, kOnce, Setting<Flag, kResponse, &R::gzip, &G::vary>, "off",
     "send Vary: Accept-Encoding"},
    {"gzip_proxied", kHere, AtLeast(1), kOnce, Bits<kProxied, kResponse, &R::gzip, &G::proxied>,
     "off",
     "off | any | expired | no-cache | no-store | private | no_last_modified | no_etag | auth …: "
     "for requests with Via"},
    {"gzip_types", kHere, AtLeast(1), kMany, Types, "text/html", "types that are compressed, or *"},
    {"gzip_buffers", kHere, Takes(2), kOnce, Accepted, "32 4k", "accepted; buffers are shared"},
});

}  // namespace

constinit const std::span<const Row> kGzipDirectives = kRows;

}  // namespace limpet::conf
