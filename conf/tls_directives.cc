// ssl_*: TLS on the client's side.
#include <algorithm>
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/tls_command.h"

namespace limpet::conf {
namespace {

using T = TlsSettings;

constexpr std::array kProtocols = std::to_array<Choice<uint32_t>>(
    {{"TLSv1", kTls1}, {"TLSv1.1", kTls11}, {"TLSv1.2", kTls12}, {"TLSv1.3", kTls13}});

template <auto List>
Status AddPath(Block& b, const Directive& d) {
  auto& paths = b.tls->*List;
  if (b.First(&paths)) paths.clear();
  if (d.args[0].empty()) return Refuse(d, "has an empty file name");
  if (d.args[0].find('$') != std::string::npos) return Refuse(d, "cannot have variables");
  paths.push_back(b.loader.FromConfDir(d.args[0]));
  return {};
}

// "shared:NAME:SIZE"
Status SharedCache(const std::string& text, T* tls) {
  const std::vector<std::string_view> parts = Split(text, ':');
  const auto size = parts.size() == 3 ? ParseSizeUnits(parts[2], false) : std::nullopt;
  if (!size || parts[1].empty())
    return InvalidArgument(fmt::format("invalid session cache \"{}\"", text));
  constexpr int64_t kMinimum = int64_t{8} * 4096;
  if (*size < kMinimum)
    return InvalidArgument(fmt::format("session cache \"{}\" is too small", parts[1]));
  tls->session_cache = T::SessionCache::kShared;
  tls->session_cache_zone = parts[1];
  tls->session_cache_size = static_cast<size_t>(*size);
  return {};
}

Status SessionCache(Block& b, const Directive& d) {
  T& tls = *b.tls;
  tls.session_cache_zone.clear();
  tls.session_cache_size = 0;
  tls.session_cache = T::SessionCache::kNone;
  for (const std::string& text : d.args) {
    if (text == "off") {
      tls.session_cache = T::SessionCache::kOff;
    } else if (text == "none") {
      tls.session_cache = T::SessionCache::kNone;
    } else if (text == "builtin" || text.starts_with("builtin:")) {
      if (tls.session_cache != T::SessionCache::kShared)
        tls.session_cache = T::SessionCache::kBuiltin;
    } else if (text.starts_with("shared:")) {
      if (Status s = SharedCache(text, &tls); !s) return s;
    } else {
      return InvalidArgument(fmt::format("invalid session cache \"{}\"", text));
    }
  }
  return {};
}

Status Command(Block& b, const Directive& d) { return AddTlsCommand(b, d, b.tls->commands); }

using Verify = T::VerifyClient;
constexpr std::array kVerifyWords =
    std::to_array<Choice<Verify>>({{"off", Verify::kOff},
                                   {"on", Verify::kOn},
                                   {"optional", Verify::kOptional},
                                   {"optional_no_ca", Verify::kOptionalNoCa}});

constexpr uint32_t kHere = kHttp | kServer;

constexpr std::array kRows = std::to_array<Row>({
    {"ssl_certificate", kHere, kOneArg, kMany, AddPath<&T::certificates>, "",
     "a certificate with its chain (PEM)"},
    {"ssl_certificate_key", kHere, kOneArg, kMany, AddPath<&T::certificate_keys>, "",
     "the key of the certificate (PEM)"},
    {"ssl_protocols", kHere, AtLeast(1), kOnce, Bits<kProtocols, &T::protocols>, "TLSv1.2 TLSv1.3",
     "TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3 …"},
    {"ssl_ciphers", kHere, kOneArg, kOnce, Setting<Text, &T::ciphers>, "HIGH:!aNULL:!MD5",
     "ciphers, as OpenSSL names them"},
    {"ssl_prefer_server_ciphers", kHere, kOneArg, kOnce, Setting<Flag, &T::prefer_server_ciphers>,
     "off", "the server's order of ciphers counts"},
    {"ssl_session_cache", kHere, Takes(1, 2), kOnce, SessionCache, "none",
     "off | none | builtin[:N] | shared:NAME:SIZE"},
    {"ssl_session_tickets", kHere, kOneArg, kOnce, Setting<Flag, &T::session_tickets>, "on",
     "sessions kept by the client"},
    {"ssl_session_timeout", kHere, kOneArg, kOnce, Setting<Seconds, &T::session_timeout>, "5m",
     "how long a session may be resumed"},
    {"ssl_buffer_size", kHere, kOneArg, kOnce, Setting<Size, &T::buffer_size>, "16k",
     "size of a record"},
    {"ssl_reject_handshake", kHere, kOneArg, kOnce, Setting<Flag, &T::reject_handshake>, "off",
     "refuse handshakes for this server"},
    {"ssl_password_file", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::password_file>, "",
     "passwords of encrypted keys, one a line"},
    {"ssl_verify_client", kHere, kOneArg, kOnce, Setting<OneOf<kVerifyWords>, &T::verify_client>,
     "off", "off | on | optional | optional_no_ca: ask clients for a certificate"},
    {"ssl_verify_depth", kHere, kOneArg, kOnce, Setting<Number<>, &T::verify_depth>, "1",
     "length of a client's certificate chain"},
    {"ssl_client_certificate", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::client_certificate>,
     "", "CAs of clients' certificates (PEM), which clients are told"},
    {"ssl_trusted_certificate", kHere, kOneArg, kOnce,
     Setting<ConfDirPath, &T::trusted_certificate>, "",
     "more CAs of clients' certificates (PEM), which clients are not told"},
    {"ssl_crl", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::crl>, "",
     "revoked certificates (PEM)"},
    {"ssl_ecdh_curve", kHere, kOneArg, kOnce, Setting<Text, &T::ecdh_curve>, "auto",
     "curves of the key exchange, as OpenSSL names them"},
    {"ssl_dhparam", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::dhparam>, "",
     "parameters of DHE ciphers (PEM)"},
    {"ssl_session_ticket_key", kHere, kOneArg, kMany, AddPath<&T::ticket_keys>, "",
     "keys of session tickets, 48 or 80 random bytes; the first encrypts"},
    {"ssl_conf_command", kHere, Takes(2), kMany, Command, "",
     "NAME VALUE: any other setting of OpenSSL"},
});

}  // namespace

Status AddTlsCommand(Block& b, const Directive& d, TlsCommands& commands) {
  static constexpr std::array<std::string_view, 9> kFiles = {
      "Certificate",  "PrivateKey",    "ServerInfoFile", "DHParameters", "ChainCAFile",
      "VerifyCAFile", "RequestCAFile", "ClientCAFile",   "VerifyCAPath"};
  if (b.First(&commands)) commands.clear();
  const bool is_file = std::find(kFiles.begin(), kFiles.end(), d.args[0]) != kFiles.end();
  commands.emplace_back(d.args[0], is_file ? b.loader.FromConfDir(d.args[1]) : d.args[1]);
  return {};
}

constinit const std::span<const Row> kTlsDirectives = kRows;

}  // namespace limpet::conf
