// charset and sub_filter: what becomes of text.
#include <algorithm>
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/type_list.h"

namespace limpet::conf {
namespace {

using C = CharsetSettings;
using S = SubFilterSettings;

Status Charset(Block& b, const Directive& d) {
  C& charset = b.location->response.charset;
  charset.name.reset();
  if (d.args[0] == "off") return {};
  return Strings{}(b, d, d.args[0], charset.name);
}

Status SourceCharset(Block& b, const Directive& d) {
  return Strings{}(b, d, d.args[0], b.location->response.charset.source);
}

Status SubFilter(Block& b, const Directive& d) {
  auto& pairs = b.location->response.sub_filter.pairs;
  if (b.First(&pairs)) pairs.clear();
  if (d.args[0].empty()) return InvalidArgument("empty search pattern");
  S::Pair pair;
  if (Status s = Strings{}(b, d, d.args[0], pair.match); !s) return s;
  if (Status s = Strings{}(b, d, d.args[1], pair.replacement); !s) return s;
  pairs.push_back(std::move(pair));
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr auto kResponse = &Location::response;

constexpr std::array kRows = std::to_array<Row>({
    {"charset", kHere | kLocationIf, kOneArg, kOnce, Charset, "off",
     "NAME | off: added to the Content-Type of text"},
    {"charset_types", kHere, AtLeast(1), kMany, TypeList<&ResponseSettings::charset>,
     "text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml",
     "types that charset is added to, or *"},
    {"source_charset", kHere | kLocationIf, kOneArg, kOnce, SourceCharset, "",
     "NAME: what bodies are in; they are never converted, so it must be that of charset"},
    {"override_charset", kHere | kLocationIf, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; bodies are never converted"},
    {"sub_filter", kHere, Takes(2), kMany, SubFilter, "",
     "TEXT REPLACEMENT: changes bodies; variables are allowed in both"},
    {"sub_filter_once", kHere, kOneArg, kOnce,
     Setting<Flag, kResponse, &ResponseSettings::sub_filter, &S::once>, "on",
     "replace each text once, or wherever it is found"},
    {"sub_filter_last_modified", kHere, kOneArg, kOnce,
     Setting<Flag, kResponse, &ResponseSettings::sub_filter, &S::keeps_last_modified>, "off",
     "keep the Last-Modified of changed bodies"},
    {"sub_filter_types", kHere, AtLeast(1), kMany, TypeList<&ResponseSettings::sub_filter>,
     "text/html", "types that are changed, or *"},
});

}  // namespace

constinit const std::span<const Row> kTextDirectives = kRows;

}  // namespace limpet::conf
