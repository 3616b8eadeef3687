// The way from text to Config: parse, apply, check what only the whole can show.
#include <fmt/core.h>

#include <algorithm>

#include "conf/control_socket.h"
#include "conf/loader.h"
#include "conf/place.h"
#include "conf/syntax.h"

namespace limpet::conf {
namespace {

constexpr std::string_view kDefaultErrorLog = "logs/error.log";
constexpr std::string_view kDefaultPid = "logs/limpet.pid";

// -e names the error log until the configuration names another.
ErrorLogs StartingErrorLog(const Loader& loader) {
  ErrorLog log;
  const std::string& name = loader.options().error_log;
  if (name == "stderr") {
    log.target = ErrorLog::Target::kStderr;
  } else {
    log.path = loader.FromPrefix(name.empty() ? kDefaultErrorLog : name);
  }
  return {log};
}

Result<std::unique_ptr<const Config>> Build(SyntaxTree tree, const LoadOptions& options) {
  auto config = std::make_unique<Config>();
  Loader loader(options, *config);
  config->error_logs.push_back(StartingErrorLog(loader));
  config->pid_path =
      options.default_pid.empty() ? loader.FromPrefix(kDefaultPid) : options.default_pid;
  config->state_path = options.default_state;
  config->sources = std::move(tree.files);
  Block block{.loader = loader, .context = kMain, .config = *config};
  if (Status s = loader.Apply(tree.directives, block); !s) return s.error();
  if (config->control_path.empty()) config->control_path = DefaultControlPath(config->pid_path);
  if (config->control_path == kControlSocketOff) config->control_path.clear();
  return std::unique_ptr<const Config>(std::move(config));
}

// A file that is just being written, or was cut off: it must not take the place of what serves.
bool SaysNothing(const SyntaxTree& tree) {
  return std::ranges::none_of(tree.directives, [](const Directive& directive) {
    return directive.name == "events" || directive.name == "http";
  });
}

LoadOptions Complete(LoadOptions options) {
  if (!options.prefix.empty() && !options.prefix.ends_with('/')) options.prefix += '/';
  return options;
}

}  // namespace

Error WithPlace(const Config& config, Error error) {
  for (const auto& [file, place] : config.named_at) {
    if (error.message.find(fmt::format("\"{}\"", file)) == std::string::npos) continue;
    error.message += " in " + place;
    return error;
  }
  return error;
}

Error WithServersPlace(const Config& config, const Server& server, Error error) {
  if (WithPlace(config, error).message == error.message)
    error.message += " in " + server.declared_at;
  return error;
}

Result<std::unique_ptr<const Config>> Load(const LoadOptions& given) {
  const LoadOptions options = Complete(given);
  Config paths;
  const Loader loader(options, paths);
  Result<SyntaxTree> tree = ParseFile(paths.file, loader.conf_dir(), options.global_directives);
  if (!tree) return tree.error();
  if (SaysNothing(*tree)) return InvalidArgument("no \"events\" section in configuration");
  return Build(std::move(*tree), options);
}

Result<std::unique_ptr<const Config>> LoadText(const std::string& text, const LoadOptions& given) {
  const LoadOptions options = Complete(given);
  Result<SyntaxTree> tree = ParseText(text, options.file.empty() ? "nginx.conf" : options.file);
  if (!tree) return tree.error();
  return Build(std::move(*tree), options);
}

}  // namespace limpet::conf
