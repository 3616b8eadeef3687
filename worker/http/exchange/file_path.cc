#include "worker/http/exchange/file_path.h"

#include <fmt/core.h>

#include <algorithm>

#include "proto/target.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kDefaultRoot = "html";  // nginx's

// Relative paths are taken from the prefix; a final slash is the URI's business.
std::string_view Absolute(Exchange& exchange, std::string_view path) {
  if (path.starts_with('/')) return path;
  return exchange.arena().Concat(exchange.runtime().config.prefix, path);
}

// Whether ".." stands where `root` and `rest` meet.
bool MeetInDotDot(std::string_view root, std::string_view rest) {
  const std::string_view head = rest.substr(0, rest.find('/'));
  if (head != "." && head != "..") return false;
  const std::string_view tail = root.substr(root.rfind('/') + 1);
  return tail.size() + head.size() == 2 && (tail.empty() || tail == ".");
}

}  // namespace

bool Climbs(std::string_view path, std::string_view written) {
  const size_t segments = proto::UpwardSegments(path);
  return segments > 0 && segments > proto::UpwardSegments(written) &&
         written.find("request_uri") == std::string_view::npos;
}

bool IsUnsafePath(const Exchange& exchange, std::string_view path, std::string_view written) {
  if (!Climbs(path, written) && path.find('\0') == std::string_view::npos) return false;
  exchange.Log(LogLevel::kError, fmt::format("unsafe path \"{}\" was detected", path));
  return true;
}

size_t AliasedPrefix(const conf::Location& location) {
  if (!location.response.alias) return 0;
  return location.response.alias_prefix;
}

std::string_view WithZero(Arena& arena, std::string_view text) {
  const std::string_view copy = arena.Concat(text, std::string_view("", 1));
  return copy.substr(0, text.size());
}

std::string_view DocumentRoot(Exchange& exchange) {
  const conf::ResponseSettings& settings = exchange.location().response;
  if (settings.alias) return Absolute(exchange, exchange.Evaluate(*settings.alias));
  if (settings.root.empty()) return Absolute(exchange, kDefaultRoot);
  std::string_view root = exchange.Evaluate(settings.root);
  if (root.ends_with('/')) root.remove_suffix(1);
  return Absolute(exchange, root);
}

FilePath MapUriToPath(Exchange& exchange, std::string_view more) {
  const Request& request = exchange.request();
  const conf::Location& location = exchange.location();
  size_t prefix = AliasedPrefix(location);
  if (location.response.alias && !request.under_location) {
    exchange.Log(LogLevel::kAlert,
                 fmt::format("\"alias\" cannot be used in location \"{}\" where URI was rewritten",
                             location.name));
    return {.status = 500};
  }
  if (prefix == std::string_view::npos && request.uri_under_alias) prefix = 0;
  const std::string_view root = DocumentRoot(exchange);
  const std::string_view rest = request.uri.substr(std::min(prefix, request.uri.size()));
  const std::string_view path = exchange.arena().Concat(root, rest, more, std::string_view("", 1));
  const conf::ResponseSettings& settings = location.response;
  const conf::Template& written = settings.alias ? *settings.alias : settings.root;
  if ((!written.is_constant() && Climbs(root, written.source())) || MeetInDotDot(root, rest)) {
    exchange.Log(LogLevel::kError,
                 fmt::format("unsafe path \"{}\" was detected", path.substr(0, path.size() - 1)));
    return {.status = 404};
  }
  return FilePath{.path = path.substr(0, path.size() - 1), .root_size = root.size()};
}

}  // namespace limpet::worker
