// Variables that tell where a request's file would be.
#include <cstdlib>
#include <memory>

#include "worker/http/variable_getters.h"

namespace limpet::worker {

using conf::Value;

namespace {

std::string_view RootOf(Exchange& exchange) {
  const conf::ResponseSettings& settings = exchange.location().response;
  const std::string_view path = exchange.Evaluate(settings.alias ? *settings.alias : settings.root);
  if (path.starts_with('/')) return path;
  return exchange.arena().Concat(exchange.runtime().config.prefix, path);
}

}  // namespace

Value GetDocumentRoot(Exchange& exchange) { return Value::Of(RootOf(exchange)); }

Value GetRealpathRoot(Exchange& exchange) {
  const std::string path(RootOf(exchange));
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real != nullptr) return Value::Of(exchange.arena().Copy(real.get()));
  exchange.Log(LogLevel::kCrit, fmt::format("realpath() \"{}\" failed{}", path, ErrnoText(errno)));
  return Value::None();
}

Value GetRequestFilename(Exchange& exchange) {
  const conf::Location& location = exchange.location();
  const std::string_view root = RootOf(exchange);
  std::string_view uri = exchange.request().uri;
  if (!location.response.alias) return Value::Of(exchange.arena().Concat(root, uri));
  // An alias stands for the location's prefix; under a regular expression it is the whole path.
  if (location.kind == conf::LocationKind::kRegex) return Value::Of(root);
  uri.remove_prefix(std::min(uri.size(), location.name.size()));
  return Value::Of(exchange.arena().Concat(root, uri));
}

}  // namespace limpet::worker
