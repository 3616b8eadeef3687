#include "master/paths.h"

#include <fmt/core.h>
#include <unistd.h>

namespace limpet::master {
namespace {

std::string Absolute(const std::string& base, std::string_view path) {
  return PlainPath(path.starts_with('/') ? std::string(path) : fmt::format("{}{}", base, path));
}

std::string WithSlash(std::string path) {
  if (!path.ends_with('/')) path += '/';
  return PlainPath(std::move(path));
}

std::string DefaultFile(const std::string& prefix) {
  const std::string own = Absolute(prefix, kDefaultFile);
  const std::string nginx = Absolute(prefix, kNginxFile);
  const bool only_nginx = ::access(own.c_str(), F_OK) != 0 && ::access(nginx.c_str(), F_OK) == 0;
  return only_nginx ? nginx : own;
}

std::string ErrorLog(const CommandLine& command_line, const Paths& paths, bool own_prefix) {
  if (command_line.error_log == "stderr") return "stderr";
  if (!command_line.error_log.empty()) return Absolute(paths.prefix, command_line.error_log);
  return own_prefix ? Absolute(paths.prefix, "logs/error.log") : std::string(kDefaultErrorLog);
}

}  // namespace

std::string PlainPath(std::string path) {
  for (size_t at = path.find("/./"); at != path.npos; at = path.find("/./", at)) path.erase(at, 2);
  for (size_t at = path.find("//"); at != path.npos; at = path.find("//", at)) path.erase(at, 1);
  return path;
}

Paths ResolvePaths(const CommandLine& command_line, const std::string& working_directory) {
  const bool own_prefix = !command_line.prefix.empty();
  Paths paths;
  paths.prefix = own_prefix ? WithSlash(Absolute(WithSlash(working_directory), command_line.prefix))
                            : std::string(kDefaultPrefix);
  paths.file = command_line.file.empty() ? DefaultFile(paths.prefix)
                                         : Absolute(paths.prefix, command_line.file);
  paths.error_log = ErrorLog(command_line, paths, own_prefix);
  paths.pid = own_prefix ? Absolute(paths.prefix, "logs/limpet.pid") : std::string(kDefaultPid);
  paths.state = own_prefix ? Absolute(paths.prefix, "state/") : std::string(kDefaultState);
  return paths;
}

}  // namespace limpet::master
