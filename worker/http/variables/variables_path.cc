// Variables that tell where a request's file would be.
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "worker/http/exchange/file_path.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

// A root may have variables, and these among them.
Value GetDocumentRoot(Exchange& exchange) {
  const conf::Computing computing(exchange, "document_root");
  return computing.is_cycle() ? Value::None() : Value::Of(DocumentRoot(exchange));
}

Value GetRealpathRoot(Exchange& exchange) {
  const conf::Computing computing(exchange, "realpath_root");
  if (computing.is_cycle()) return Value::None();
  const std::string path(DocumentRoot(exchange));
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real != nullptr) return Value::Of(exchange.arena().Copy(real.get()));
  exchange.Log(LogLevel::kCrit, fmt::format("realpath() \"{}\" failed{}", path, ErrnoText(errno)));
  return Value::None();
}

Value GetRequestFilename(Exchange& exchange) {
  const conf::Computing computing(exchange, "request_filename");
  if (computing.is_cycle()) return Value::None();
  const auto mapped = MapUriToPath(exchange);
  return mapped ? Value::Of(mapped.path) : Value::None();
}

}  // namespace limpet::worker
