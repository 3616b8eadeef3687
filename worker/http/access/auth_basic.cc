#include "worker/http/access/auth_basic.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/hash.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "worker/http/exchange/file_path.h"

namespace limpet::worker {
namespace {

int Challenge(Exchange& exchange, std::string_view realm) {
  exchange.response().headers.Add(proto::HeaderId::kWwwAuthenticate, "WWW-Authenticate",
                                  exchange.arena().Concat("Basic realm=\"", realm, "\""));
  return 401;
}

// 0, or the errno of what failed. Read anew at each request: users change these files under us.
int ReadWholeFile(const char* path, std::string* out) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return errno;
  char part[4096];
  for (;;) {
    const ssize_t n = ::read(fd.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return 0;
    out->append(part, static_cast<size_t>(n));
  }
}

int FileFailed(Exchange& exchange, const std::string& path, int errnum) {
  const bool missing = errnum == ENOENT;
  exchange.Log(missing ? LogLevel::kError : LogLevel::kCrit,
               fmt::format("open() \"{}\" failed{}", path, ErrnoText(errnum)));
  return missing ? 403 : 500;
}

int Judge(Exchange& exchange, PasswordCheck check, std::string_view realm) {
  if (check == PasswordCheck::kMatch) return 0;
  const std::string_view user = exchange.request().user;
  if (check == PasswordCheck::kUnusable) {
    exchange.Log(LogLevel::kCrit, fmt::format("crypt_r() failed for user \"{}\"", user));
    return 500;
  }
  exchange.Log(LogLevel::kError, fmt::format("user \"{}\": password mismatch", user));
  return Challenge(exchange, realm);
}

}  // namespace

bool ParseBasicCredentials(Exchange& exchange) {
  Request& request = exchange.request();
  if (request.user_parsed) return !request.user.empty();
  request.user_parsed = true;
  std::string_view value = request.headers().Value(proto::HeaderId::kAuthorization);
  constexpr std::string_view kScheme = "Basic ";
  if (!StartsWithIgnoreCase(value, kScheme)) return false;
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  value = value.substr(0, value.find('='));  // some clients pad with too few or too many
  std::string decoded;
  if (value.empty() || !Base64Decode(value, &decoded)) return false;
  const size_t colon = decoded.find(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string_view kept = exchange.arena().Copy(decoded);
  request.user = kept.substr(0, colon);
  request.password = kept.substr(colon + 1);
  return true;
}

std::optional<int> CheckBasicAuth(Exchange& exchange) {
  const conf::AccessSettings& settings = exchange.location().access;
  if (!settings.auth_basic_realm || settings.auth_basic_user_file.empty()) return std::nullopt;
  const std::string_view realm = exchange.Evaluate(*settings.auth_basic_realm);
  if (realm == "off") return std::nullopt;
  if (!ParseBasicCredentials(exchange)) {
    exchange.Log(LogLevel::kInfo, "no user/password was provided for basic authentication");
    return Challenge(exchange, realm);
  }
  std::string path(exchange.Evaluate(settings.auth_basic_user_file));
  if (IsUnsafePath(exchange, path, settings.auth_basic_user_file.source())) return 403;
  if (!path.starts_with('/')) path.insert(0, exchange.runtime().config.folder());
  std::string file;
  if (const int errnum = ReadWholeFile(path.c_str(), &file); errnum != 0) {
    return FileFailed(exchange, path, errnum);
  }
  const Request& request = exchange.request();
  const auto stored = FindPassword(file, request.user);
  if (!stored) {
    exchange.Log(LogLevel::kError,
                 fmt::format("user \"{}\" was not found in \"{}\"", request.user, path));
    return Challenge(exchange, realm);
  }
  return Judge(exchange, CheckPassword(request.password, *stored), realm);
}

}  // namespace limpet::worker
