// Where things are when nobody says: the system's places without -p, nginx's places beneath the
// prefix with it.
#pragma once

#include <string>
#include <string_view>

#include "master/command_line.h"

namespace limpet::master {

inline constexpr std::string_view kDefaultPrefix = "/etc/limpet/";
inline constexpr std::string_view kDefaultFile = "limpet.conf";
inline constexpr std::string_view kNginxFile =
    "conf/nginx.conf";  // tried when there is no limpet.conf
inline constexpr std::string_view kDefaultErrorLog = "/var/log/limpet/error.log";
inline constexpr std::string_view kDefaultPid = "/run/limpet.pid";
inline constexpr std::string_view kDefaultState = "/var/lib/limpet/";

struct Paths {
  std::string prefix;     // absolute, ends in /
  std::string file;       // absolute
  std::string error_log;  // absolute, or "stderr"
  std::string pid;        // absolute; used where the configuration names none
  std::string state;      // absolute, ends in /; used where the configuration names none
};

// Without "." and empty names in it, which say nothing. ".." stays, as it may lead out of a link.
std::string PlainPath(std::string path);

// Looks at the file system only to choose between the two default configuration files.
Paths ResolvePaths(const CommandLine& command_line, const std::string& working_directory);

}  // namespace limpet::master
