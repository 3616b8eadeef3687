// control_socket: how a configuration says that it wants none.
#pragma once

#include <string_view>

namespace limpet::conf {

// What Config::control_path holds while it is loaded; afterwards it is empty.
inline constexpr std::string_view kControlSocketOff = "off";

}  // namespace limpet::conf
