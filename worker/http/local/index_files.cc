// index: what a URI that ends in a slash stands for.
#include <fmt/core.h>

#include <cerrno>

#include "worker/http/exchange/file_path.h"
#include "worker/http/local/open_file.h"
#include "worker/http/local/static_files.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kDefaultIndex = "index.html";

Step Refuse(Exchange& exchange, int status) {
  exchange.Finish(status);
  return Step::kDone;
}

Step IndexFailed(Exchange& exchange, std::string_view path, int errnum) {
  if (errnum == EACCES) {
    exchange.Log(LogLevel::kError, fmt::format("\"{}\" is forbidden{}", path, ErrnoText(errnum)));
    return Refuse(exchange, 403);
  }
  if (exchange.location().log.log_not_found) {
    exchange.Log(LogLevel::kError, fmt::format("\"{}\" is not found{}", path, ErrnoText(errnum)));
  }
  return Refuse(exchange, 404);
}

Step Serve(Exchange& exchange, std::string_view name, std::string_view written) {
  const Request& request = exchange.request();
  const std::string_view uri =
      name.starts_with('/') ? name : exchange.arena().Concat(request.uri, name);
  exchange.InternalRedirect(uri, request.args, written);
  return Step::kDone;
}

// No index file: is it because there is no directory? Nothing: it is there.
std::optional<Step> TestDirectory(Exchange& exchange, std::string_view index_path,
                                  std::string_view directory) {
  const FileFacts facts = TestFile(directory);
  if (facts.errnum == 0 || facts.errnum == EACCES) return std::nullopt;
  if (MeansMissing(facts.errnum)) return IndexFailed(exchange, index_path, facts.errnum);
  exchange.Log(LogLevel::kCrit,
               fmt::format("stat() \"{}\" failed{}", directory, ErrnoText(facts.errnum)));
  return Refuse(exchange, 500);
}

// Nothing: there is no such file.
std::optional<Step> TryIndex(Exchange& exchange, std::string_view name, std::string_view written,
                             bool* directory_tested) {
  if (name.starts_with('/')) return Serve(exchange, name, written);
  if (Climbs(name, written)) return std::nullopt;
  const FilePath mapped = MapUriToPath(exchange, name);
  if (!mapped) return Refuse(exchange, mapped.status);
  const FileFacts facts = TestFile(mapped.path);
  if (facts.errnum == 0) return Serve(exchange, name, written);
  if (facts.errnum != ENOENT && (MeansMissing(facts.errnum) || facts.errnum == EACCES)) {
    return IndexFailed(exchange, mapped.path, facts.errnum);
  }
  if (!*directory_tested) {
    *directory_tested = true;
    const std::string_view directory = mapped.path.substr(0, mapped.path.size() - name.size());
    const auto answered =
        TestDirectory(exchange, mapped.path, WithZero(exchange.arena(), directory));
    if (answered) return answered;
  }
  if (facts.errnum == ENOENT) return std::nullopt;
  exchange.Log(LogLevel::kCrit,
               fmt::format("stat() \"{}\" failed{}", mapped.path, ErrnoText(facts.errnum)));
  return Refuse(exchange, 500);
}

}  // namespace

Step IndexContent(Exchange& exchange) {
  const auto& names = exchange.location().response.index;
  bool directory_tested = false;
  if (names.empty()) {
    if (const auto done = TryIndex(exchange, kDefaultIndex, {}, &directory_tested)) return *done;
  }
  for (const conf::Template& name : names) {
    const auto done = TryIndex(exchange, exchange.Evaluate(name), name.source(), &directory_tested);
    if (done) return *done;
  }
  const FilePath mapped = MapUriToPath(exchange);
  if (!mapped) return Refuse(exchange, mapped.status);
  if (exchange.location().response.auto_index.on &&
      exchange.request().method != proto::Method::kPost)
    return AutoIndexContent(exchange, mapped.path);
  exchange.Log(LogLevel::kError,
               fmt::format("directory index of \"{}\" is forbidden", mapped.path));
  return Refuse(exchange, 403);
}

}  // namespace limpet::worker
