// modern_browser and ancient_browser: by User-Agent, which of two values a request has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace limpet::conf {

struct ModernBrowser {
  size_t kind = 0;       // index of kBrowserKinds
  uint64_t version = 0;  // as BrowserVersion makes it; older ones are ancient
};

// How a browser names itself: `mark` is sought behind `skip` bytes, its version follows. Opera
// comes first: it also says that it is another.
struct BrowserKind {
  const char* name;
  size_t skip;
  const char* mark;
};
inline constexpr BrowserKind kBrowserKinds[] = {
    {"opera", 0, "Opera"},     {"msie", 25, "MSIE "},           {"gecko", 13, "rv:"},
    {"safari", 13, "Safari/"}, {"konqueror", 25, "Konqueror/"},
};

// "7.50" as a number in the order of versions: each part has two digits and the first any.
constexpr uint64_t kVersionScale = 1'000'000;

struct BrowserSettings {
  std::vector<ModernBrowser> modern;  // sorted by kind
  bool unlisted_is_modern = false;    // `modern_browser unlisted`
  std::vector<std::string> ancient;   // parts of User-Agent
  bool netscape4_is_ancient = false;
  std::string modern_value = "1";
  std::string ancient_value = "1";
};

}  // namespace limpet::conf
