#include "worker/http/filter/browsers.h"

#include <algorithm>

#include "base/text.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {
namespace {

using conf::Value;

// What stands behind the browser's mark; "": it is another browser.
std::string_view VersionText(const conf::BrowserKind& kind, std::string_view user_agent) {
  if (user_agent.size() <= kind.skip) return {};
  const std::string_view mark = kind.mark;
  const size_t at = user_agent.find(mark, kind.skip);
  if (at == std::string_view::npos) return {};
  // "Opera 7.50" or "Opera/8.0"
  return user_agent.substr(
      std::min(at + std::max<size_t>(mark.size(), kind.skip == 0 ? 6 : 0), user_agent.size()));
}

uint64_t ReadVersion(std::string_view text) {
  uint64_t version = 0, part = 0, scale = conf::kVersionScale;
  for (const char c : text) {
    if (c == '.') {
      version += part * scale;
      part = 0;
      scale /= 100;
    } else if (IsDigit(c) && part < UINT32_MAX) {
      part = part * 10 + static_cast<uint64_t>(c - '0');
    } else {
      break;
    }
  }
  return version + part * scale;
}

// "Mozilla/4.72 …"
bool IsNetscape4(std::string_view user_agent) {
  return user_agent.size() > 13 && user_agent.starts_with("Mozilla/") && user_agent[8] > '0' &&
         user_agent[8] < '5';
}

bool IsModernHere(Exchange& exchange) {
  const proto::Header* agent = exchange.request().headers().Find(proto::HeaderId::kUserAgent);
  const conf::BrowserSettings& settings = exchange.location().browsers;
  return agent == nullptr ? settings.unlisted_is_modern : IsModern(settings, agent->value);
}

}  // namespace

bool IsOldMsie(std::string_view user_agent) {
  const size_t at = user_agent.find("MSIE ");
  if (at == std::string_view::npos || at + 6 >= user_agent.size()) return false;
  const char version = user_agent[at + 5];
  if (user_agent[at + 6] != '.' || version < '4' || version > '6') return false;
  return version != '6' || user_agent.find("SV1") == std::string_view::npos;
}

bool IsMsie(std::string_view user_agent) {
  return user_agent.find("MSIE ") != std::string_view::npos &&
         user_agent.find("Opera") == std::string_view::npos;
}

bool IsModern(const conf::BrowserSettings& settings, std::string_view user_agent) {
  bool lists_opera = false;
  for (const conf::ModernBrowser& browser : settings.modern) lists_opera |= browser.kind == 0;
  // Opera that nobody lists must not be taken for what it says it is.
  if (!settings.modern.empty() && !lists_opera &&
      !VersionText(conf::kBrowserKinds[0], user_agent).empty())
    return false;
  for (const conf::ModernBrowser& browser : settings.modern) {
    const std::string_view text = VersionText(conf::kBrowserKinds[browser.kind], user_agent);
    if (!text.empty()) return ReadVersion(text) >= browser.version;
  }
  if (!settings.modern.empty() && !settings.unlisted_is_modern) return false;
  if (settings.netscape4_is_ancient && IsNetscape4(user_agent)) return false;
  for (const std::string& part : settings.ancient) {
    if (user_agent.find(part) != std::string_view::npos) return false;
  }
  return settings.unlisted_is_modern;
}

Value GetMsie(Exchange& exchange) {
  return Value::Of(IsMsie(exchange.request().headers().Value(proto::HeaderId::kUserAgent)) ? "1"
                                                                                           : "");
}

Value GetModernBrowser(Exchange& exchange) {
  return Value::Of(IsModernHere(exchange)
                       ? std::string_view(exchange.location().browsers.modern_value)
                       : std::string_view());
}

Value GetAncientBrowser(Exchange& exchange) {
  return Value::Of(IsModernHere(exchange)
                       ? std::string_view()
                       : std::string_view(exchange.location().browsers.ancient_value));
}

}  // namespace limpet::worker
