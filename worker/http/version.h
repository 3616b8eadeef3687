// How limpet names itself to clients: as the language level it speaks, which existing monitors and
// scripts look for.
#pragma once

#include <string_view>

namespace limpet::worker {

inline constexpr std::string_view kLanguageVersion =
    "1.31.5";  // of nginx's configuration language and behaviour
inline constexpr std::string_view kServerName = "nginx";
inline constexpr std::string_view kServerNameAndVersion = "nginx/1.31.5";

}  // namespace limpet::worker
