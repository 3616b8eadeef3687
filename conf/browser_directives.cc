// modern_browser, ancient_browser: $modern_browser and $ancient_browser.
#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

using S = BrowserSettings;

Result<uint64_t> Version(const std::string& text) {
  uint64_t version = 0, scale = kVersionScale;
  for (const std::string_view part : Split(text, '.')) {
    const auto number = ParseDecimal(part.empty() ? "0" : part);
    if (!number || *number > UINT32_MAX)
      return InvalidArgument(
          fmt::format("invalid browser version \"{}\": it is 5, 5.5 or 5.5.1", text));
    version += *number * scale;
    scale /= 100;
  }
  return version;
}

Status Modern(Block& b, const Directive& d) {
  S& browsers = b.location->browsers;
  if (b.First(&browsers.modern)) {
    browsers.modern.clear();
    browsers.unlisted_is_modern = false;
  }
  if (d.args.size() == 1) {
    browsers.unlisted_is_modern = true;
    return d.args[0] == "unlisted" ? Status{} : InvalidWord(d, d.args[0], "unlisted");
  }
  const auto kind = std::ranges::find_if(kBrowserKinds, [&d](const BrowserKind& known) {
    return EqualsIgnoreCase(known.name, d.args[0]);
  });
  if (kind == std::end(kBrowserKinds))
    return InvalidArgument(fmt::format(
        "unknown browser name \"{}\": modern_browser takes msie, gecko, opera, safari or konqueror",
        d.args[0]));
  const Result<uint64_t> version = Version(d.args[1]);
  if (!version) return version.error();
  browsers.modern.push_back({static_cast<size_t>(kind - std::begin(kBrowserKinds)), *version});
  std::ranges::stable_sort(browsers.modern, {}, &ModernBrowser::kind);
  return {};
}

Status Ancient(Block& b, const Directive& d) {
  S& browsers = b.location->browsers;
  if (b.First(&browsers.ancient)) {
    browsers.ancient.clear();
    browsers.netscape4_is_ancient = false;
  }
  for (const std::string& word : d.args) {
    if (word == "netscape4") {
      browsers.netscape4_is_ancient = true;
    } else {
      browsers.ancient.push_back(word);
    }
  }
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;

constexpr std::array kRows = std::to_array<Row>({
    {"modern_browser", kHere, Takes(1, 2), kMany, Modern, "",
     "opera | msie | gecko | safari | konqueror VERSION, or unlisted: makes $modern_browser 1"},
    {"ancient_browser", kHere, AtLeast(1), kMany, Ancient, "",
     "TEXT … | netscape4: User-Agent fields with it make $ancient_browser 1"},
    {"modern_browser_value", kHere, kOneArg, kMany,
     Setting<Text, &Location::browsers, &S::modern_value>, "1", "instead of 1"},
    {"ancient_browser_value", kHere, kOneArg, kMany,
     Setting<Text, &Location::browsers, &S::ancient_value>, "1", "instead of 1"},
});

}  // namespace

constinit const std::span<const Row> kBrowserDirectives = kRows;

}  // namespace limpet::conf
