// What `proxy_redirect default` means in a location with a constant proxy_pass.
#pragma once

#include "conf/config.h"

namespace limpet::conf {

// The URL of proxy_pass becomes the location's name, or "/" if the URL has no path.
RedirectRule DefaultRedirect(const Location& location);

}  // namespace limpet::conf
