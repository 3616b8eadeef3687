// control_socket: how a configuration says that it wants none, and where it is else.
#pragma once

#include <string>
#include <string_view>

namespace limpet::conf {

// What Config::control_path holds while it is loaded; afterwards it is empty.
inline constexpr std::string_view kControlSocketOff = "off";

// Where it is if nobody says: beside the pid file. What can be written there can be bound there.
inline std::string DefaultControlPath(std::string pid) {
  constexpr std::string_view kPidSuffix = ".pid";
  if (pid.ends_with(kPidSuffix)) pid.resize(pid.size() - kPidSuffix.size());
  return pid + ".sock";
}

}  // namespace limpet::conf
