#include "worker/http/access/auth_basic.h"

#include <utility>

#include "base/file_text.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/text.h"
#include "worker/http/exchange/file_path.h"

namespace limpet::worker {
namespace {

int Challenge(Exchange& exchange, std::string_view realm) {
  exchange.response().headers.Add(proto::HeaderId::kWwwAuthenticate, "WWW-Authenticate",
                                  exchange.arena().Concat("Basic realm=\"", realm, "\""));
  return 401;
}

int FileFailed(Exchange& exchange, const Error& error) {
  const bool missing = error.code == std::errc::no_such_file_or_directory;
  exchange.Log(missing ? LogLevel::kError : LogLevel::kCrit, error.message);
  return missing ? 403 : 500;
}

int Judge(Exchange& exchange, PasswordCheck check, std::string_view realm) {
  if (check == PasswordCheck::kMatch) return 0;
  const std::string_view user = exchange.request().credentials->user;
  if (check == PasswordCheck::kUnusable) {
    exchange.Log(LogLevel::kCrit, fmt::format("crypt_r() failed for user \"{}\"", user));
    return 500;
  }
  exchange.Log(LogLevel::kError, fmt::format("user \"{}\": password mismatch", user));
  return Challenge(exchange, realm);
}

const Credentials* ReadCredentials(Exchange& exchange) {
  std::string_view value = exchange.request().headers().Value(proto::HeaderId::kAuthorization);
  constexpr std::string_view kScheme = "Basic ";
  if (!StartsWithIgnoreCase(value, kScheme)) return nullptr;
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  value = value.substr(0, value.find('='));  // some clients pad with too few or too many
  std::string decoded;
  if (value.empty() || !Base64Decode(value, &decoded)) return nullptr;
  const size_t colon = decoded.find(':');
  if (colon == std::string::npos || colon == 0) return nullptr;
  const std::string_view kept = exchange.arena().Copy(decoded);
  return exchange.arena().New(Credentials{kept.substr(0, colon), kept.substr(colon + 1)});
}

}  // namespace

const Credentials* BasicCredentials(Exchange& exchange) {
  Request& request = exchange.request();
  if (!std::exchange(request.credentials_parsed, true))
    request.credentials = ReadCredentials(exchange);
  return request.credentials;
}

std::optional<int> CheckBasicAuth(Exchange& exchange) {
  const conf::AccessSettings& settings = exchange.location().access;
  if (!settings.auth_basic_realm || settings.auth_basic_user_file.empty()) return std::nullopt;
  const std::string_view realm = exchange.Evaluate(*settings.auth_basic_realm);
  if (realm == "off") return std::nullopt;
  const Credentials* const given = BasicCredentials(exchange);
  if (given == nullptr) {
    exchange.Log(LogLevel::kInfo, "no user/password was provided for basic authentication");
    return Challenge(exchange, realm);
  }
  std::string path(exchange.Evaluate(settings.auth_basic_user_file));
  if (IsUnsafePath(exchange, path, settings.auth_basic_user_file.source())) return 403;
  if (!path.starts_with('/')) path.insert(0, exchange.runtime().config.folder());
  auto read = ReadFile(path);  // anew for each request: users change these files under us
  if (!read) return FileFailed(exchange, read.error());
  const Secret file(std::move(*read));
  const auto stored = FindPassword(file.text(), given->user);
  if (!stored) {
    exchange.Log(LogLevel::kError,
                 fmt::format("user \"{}\" was not found in \"{}\"", given->user, path));
    return Challenge(exchange, realm);
  }
  return Judge(exchange, CheckPassword(given->password, *stored), realm);
}

}  // namespace limpet::worker
