// How limpet names itself to clients: by its own name, or under `compatible nginx;` by that of the
// server whose language it reads, for tools that look for it.
#pragma once

#include <string_view>

#include "conf/config.h"

namespace limpet::worker {

// Of nginx's configuration language and behaviour.
inline constexpr std::string_view kLanguageVersion = "1.31.5";

constexpr std::string_view ServerName(const conf::Config& config, bool with_version) {
  if (config.compatible_nginx) return with_version ? "nginx/1.31.5" : "nginx";
  return with_version ? "limpet/" LIMPET_VERSION : "limpet";
}

}  // namespace limpet::worker
