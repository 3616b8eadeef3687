// Browsers of old that need to be spared something.
#pragma once

#include <string_view>

namespace limpet::worker {

// "msie6" in gzip_disable and keepalive_disable: MSIE 4 to 6, but not 6 with its service pack 2
// ("SV1").
bool IsOldMsie(std::string_view user_agent);

}  // namespace limpet::worker
