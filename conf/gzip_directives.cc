// gzip of responses.
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/type_list.h"

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

constexpr std::array kFromFiles = std::to_array<Choice<G::FromFiles>>({
    {"off", G::FromFiles::kOff},
    {"on", G::FromFiles::kOn},
    {"always", G::FromFiles::kAlways},
});

Status Disable(Block& b, const Directive& d) {
  G& gzip = b.location->response.gzip;
  if (b.First(&gzip.disabled_for)) {
    gzip.disabled_for.clear();
    gzip.disabled_for_msie6 = false;
  }
  for (const std::string& word : d.args) {
    if (word == "msie6") {
      gzip.disabled_for_msie6 = true;
      continue;
    }
    auto regex = CompileRegex(b, d, word, true, nullptr);
    if (!regex) return regex.error();
    gzip.disabled_for.push_back(std::move(*regex));
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
    {"gzip_proxied", kHere, AtLeast(1), kMany, Bits<kProxied, kResponse, &R::gzip, &G::proxied>,
     "off",
     "off | any | expired | no-cache | no-store | private | no_last_modified | no_etag | auth …: "
     "for requests with Via"},
    {"gzip_types", kHere, AtLeast(1), kMany, TypeList<&R::gzip>, "text/html",
     "types that are compressed, or *"},
    {"gzip_disable", kHere, AtLeast(1), kMany, Disable, "",
     "PATTERN | msie6 …: of User-Agent, which then gets nothing compressed"},
    {"gzip_static", kHere, kOneArg, kOnce,
     Setting<OneOf<kFromFiles>, kResponse, &R::gzip, &G::from_files>, "off",
     "on | off | always: FILE.gz stands in for FILE"},
    {"gunzip", kHere, kOneArg, kOnce, Setting<Flag, kResponse, &R::gunzip>, "off",
     "unpack compressed responses for clients that do not take them"},
    {"gunzip_buffers", kHere, Takes(2), kInert, Accepted, "32 4k", "accepted; buffers are shared"},
    {"gzip_buffers", kHere, Takes(2), kInert, Accepted, "32 4k", "accepted; buffers are shared"},
    {"gzip_window", kHere, kOneArg, kInert, Checked<Size, size_t>, "32k",
     "accepted; the window follows the length"},
    {"gzip_hash", kHere, kOneArg, kInert, Checked<Size, size_t>, "16k",
     "accepted; memory follows the length"},
    {"gzip_no_buffer", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; output is gathered per wake-up"},
    {"postpone_gzipping", kHere, kOneArg, kInert, Checked<Size, size_t>, "0",
     "accepted; output is gathered per wake-up"},
});

}  // namespace

constinit const std::span<const Row> kGzipDirectives = kRows;

}  // namespace limpet::conf
