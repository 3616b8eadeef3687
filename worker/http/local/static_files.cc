#include "worker/http/local/static_files.h"

#include <fmt/core.h>

#include <cerrno>

#include "proto/escape.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/mime.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/filter/gzip.h"
#include "worker/http/local/content.h"
#include "worker/http/local/open_file.h"

namespace limpet::worker {
namespace {

Step Refuse(Exchange& exchange, int status) {
  exchange.Finish(status);
  return Step::kDone;
}

bool IsReading(proto::Method method) {
  return method == proto::Method::kGet || method == proto::Method::kHead ||
         method == proto::Method::kPost;
}

Step OpenFailed(Exchange& exchange, std::string_view path, const OpenedFile& file) {
  const bool missing = MeansMissing(file.errnum);
  const bool denied = file.errnum == EACCES || file.errnum == ELOOP;
  if (!missing || exchange.location().log.log_not_found) {
    exchange.Log(missing || denied ? LogLevel::kError : LogLevel::kCrit,
                 fmt::format("{} \"{}\" failed{}", file.failed, path, ErrnoText(file.errnum)));
  }
  return Refuse(exchange, missing ? 404 : denied ? 403 : 500);
}

// A directory without its slash: relative links in it would lead astray.
Step RedirectToDirectory(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string uri = proto::EscapeUri(request.uri, proto::EscapeKind::kUri);
  exchange.Redirect(
      301, exchange.arena().Concat(uri, "/", request.args.empty() ? "" : "?", request.args));
  return Step::kDone;
}

// gzip_static: FILE.gz stands in for FILE, for clients that take it.
OpenedFile OpenCompressed(Exchange& exchange, std::string_view path) {
  using FromFiles = conf::GzipSettings::FromFiles;
  const conf::GzipSettings& settings = exchange.location().response.gzip;
  if (settings.from_files == FromFiles::kOff) return {};
  const bool is_taken = settings.from_files == FromFiles::kAlways ||
                        ClientTakesGzip(exchange, settings, *exchange.request().head,
                                        exchange.response(), exchange.runtime().WallSeconds());
  const bool varies = settings.vary && settings.from_files == FromFiles::kOn;
  if (!is_taken && !varies) return {};
  OpenedFile file = OpenFile(WithZero(exchange.arena(), exchange.arena().Concat(path, ".gz")));
  if (file.fd == nullptr || !file.is_regular) return {};
  exchange.response().vary_gzip = varies;
  if (!is_taken) return {};
  exchange.response().headers.Add(proto::HeaderId::kContentEncoding, "Content-Encoding", "gzip");
  return file;
}

Step SendFile(Exchange& exchange, const OpenedFile& file) {
  const conf::ResponseSettings& settings = exchange.location().response;
  Response& response = exchange.response();
  response.status = 200;
  // X-Accel-Redirect may have brought one along.
  if (response.content_type.empty()) {
    response.content_type = ContentTypeOf(settings, exchange.request().uri);
  }
  response.content_length = static_cast<int64_t>(file.size);
  response.last_modified = file.modified;
  if (settings.etag) {
    response.etag = exchange.arena().Copy(fmt::format("\"{:x}-{:x}\"", file.modified, file.size));
  }
  response.allow_ranges = true;
  if (exchange.body().mode() == RequestBody::Mode::kIdle) {
    exchange.body().Start(RequestBody::Mode::kDiscarded, nullptr);
  }
  ResponseWriter& writer = exchange.writer();
  if (!writer.SendHead()) return Step::kDone;
  writer.WriteBodyFile(file.fd, 0, file.size);
  writer.EndBody();
  exchange.Complete();
  return Step::kDone;
}

}  // namespace

Step StaticContent(Exchange& exchange) {
  const Request& request = exchange.request();
  const bool reading = IsReading(request.method);
  if (request.uri.ends_with('/') && reading) return IndexContent(exchange);
  if (!reading) return Refuse(exchange, 405);

  const FilePath mapped = MapUriToPath(exchange);
  if (!mapped) return Refuse(exchange, mapped.status);
  OpenedFile file;
  if (request.method != proto::Method::kPost) file = OpenCompressed(exchange, mapped.path);
  if (file.fd == nullptr) file = OpenFile(mapped.path);
  if (file.fd == nullptr) return OpenFailed(exchange, mapped.path, file);
  exchange.request().root_tested = !exchange.in_error_page();
  if (file.is_directory) return RedirectToDirectory(exchange);
  if (!file.is_regular) {
    exchange.Log(LogLevel::kCrit, fmt::format("\"{}\" is not a regular file", mapped.path));
    return Refuse(exchange, 404);
  }
  if (request.method == proto::Method::kPost) return Refuse(exchange, 405);
  return SendFile(exchange, file);
}

}  // namespace limpet::worker
