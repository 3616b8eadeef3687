// The Set-Cookie field of `sticky cookie`: a value with the attributes of the configuration, in
// nginx's order and case.
#pragma once

#include <string_view>

#include "conf/upstream.h"
#include "conf/variables.h"

namespace limpet::worker {

// In the reader's memory.
std::string_view CookieText(const conf::StickyCookie& conf, conf::VariableReader& request,
                            std::string_view value);

}  // namespace limpet::worker
