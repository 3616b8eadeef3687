#include "worker/http/local/try_files.h"

#include <fmt/core.h>

#include <algorithm>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/local/open_file.h"

namespace limpet::worker {
namespace {

// A candidate says where the whole URI would be; under an alias the location's prefix is not part
// of the path.
std::string_view BelowRoot(Exchange& exchange, const conf::Template& written,
                           std::string_view name) {
  const size_t prefix = AliasedPrefix(exchange.location());
  if (prefix == 0 || prefix == std::string_view::npos || written.is_constant()) return name;
  const std::string_view uri = exchange.request().uri;
  return name.starts_with(uri.substr(0, prefix)) ? name.substr(prefix) : name;
}

// The URI as sent stays what a proxy_pass without a URI forwards.
void UseFile(Exchange& exchange, std::string_view name, bool is_directory) {
  Request& request = exchange.request();
  const size_t prefix = AliasedPrefix(exchange.location());
  if (prefix == std::string_view::npos) {
    if (is_directory) return;  // the alias itself is it
    request.uri_under_alias = true;
    request.uri = exchange.arena().Copy(name);
  } else {
    request.uri =
        exchange.arena().Concat(request.uri.substr(0, std::min(prefix, request.uri.size())), name);
  }
}

Step Fallback(Exchange& exchange, const conf::TryFiles& settings) {
  if (settings.fallback_code != 0) {
    exchange.Finish(settings.fallback_code);
    return Step::kDone;
  }
  const std::string_view target = exchange.arena().Copy(exchange.Evaluate(settings.fallback));
  if (target.starts_with('@')) {
    exchange.GoToNamed(target);
    return Step::kDone;
  }
  const size_t question = std::min(target.find('?'), target.size());
  const std::string_view args = target.substr(std::min(question + 1, target.size()));
  exchange.InternalRedirect(target.substr(0, question), args, settings.fallback.source());
  return Step::kDone;
}

}  // namespace

Step TryFilesStep(Exchange& exchange) {
  const auto& settings = exchange.location().response.try_files;
  for (const conf::TryFiles::Candidate& candidate : settings->candidates) {
    const std::string_view name =
        BelowRoot(exchange, candidate.path, exchange.Evaluate(candidate.path));
    if (Climbs(name, candidate.path.source())) continue;  // no file
    const std::string_view path =
        WithZero(exchange.arena(), exchange.arena().Concat(DocumentRoot(exchange), name));
    const FileFacts facts = TestFile(path);
    if (facts.errnum != 0 && !MeansMissing(facts.errnum)) {
      exchange.Log(LogLevel::kCrit,
                   fmt::format("stat() \"{}\" failed{}", path, ErrnoText(facts.errnum)));
    }
    if (facts.errnum != 0 || facts.is_directory != candidate.is_directory) continue;
    UseFile(exchange, name, candidate.is_directory);
    return Step::kNext;
  }
  return Fallback(exchange, *settings);
}

}  // namespace limpet::worker
