// Browsers of old that need to be spared something.
#pragma once

#include <string_view>

#include "conf/browsers.h"
#include "conf/variables.h"

namespace limpet::worker {

class Exchange;

// "msie6" in gzip_disable and keepalive_disable: MSIE 4 to 6, but not 6 with its service pack 2
// ("SV1").
bool IsOldMsie(std::string_view user_agent);

// $msie: any Internet Explorer; Opera calls itself one, too.
bool IsMsie(std::string_view user_agent);

// Whether the browser is a modern one, as modern_browser and ancient_browser have it.
bool IsModern(const conf::BrowserSettings& settings, std::string_view user_agent);

conf::Value GetMsie(Exchange& exchange);
conf::Value GetModernBrowser(Exchange& exchange);
conf::Value GetAncientBrowser(Exchange& exchange);

}  // namespace limpet::worker
