// ssl_*: TLS on the client's side.
#include <algorithm>
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/tls_arguments.h"
#include "conf/zone_use.h"

namespace limpet::conf {
namespace {

using T = TlsSettings;

template <auto List, bool kKey>
Status AddName(Block& b, const Directive& d) {
  auto& names = b.tls->*List;
  if (b.First(&names)) names.clear();
  return CompileTlsName(b, d, kKey, names.emplace_back());
}

template <auto List>
Status AddPath(Block& b, const Directive& d) {
  auto& paths = b.tls->*List;
  if (b.First(&paths)) paths.clear();
  if (d.args[0].empty()) return Refuse(d, "has an empty file name");
  if (d.args[0].find('$') != std::string::npos) return Refuse(d, "cannot have variables");
  paths.push_back(b.loader.FromConfDir(d.args[0]));
  b.loader.NoteFile(d, paths.back());
  return {};
}

// "shared:NAME:SIZE" of `what`.
Result<TlsSessionZone> SharedZone(std::string_view what, const std::string& text) {
  const std::vector<std::string_view> parts = Split(text, ':');
  const bool shaped = parts.size() == 3 && parts[0] == "shared" && !parts[1].empty();
  const auto parsed = shaped ? ParseSizeUnits(parts[2], false) : std::nullopt;
  if (!parsed) return InvalidArgument(fmt::format("invalid {} \"{}\"", what, text));
  constexpr int64_t kMinimum = int64_t{8} * 4096;
  if (*parsed < kMinimum)
    return InvalidArgument(
        fmt::format("{} \"{}\" is too small: it is at least {}k", what, text, kMinimum / 1024));
  return TlsSessionZone{std::string(parts[1]), static_cast<size_t>(*parsed)};
}

Status SharedCache(Block& b, const std::string& text) {
  const Result<TlsSessionZone> wanted = SharedZone("session cache", text);
  if (!wanted) return wanted.error();
  const size_t size = wanted->size;
  if (Status s = CheckZoneUse(*b.http, wanted->name, ZoneUse::kTlsSessions); !s) return s;
  auto& zones = b.http->tls_session_zones;
  auto zone = std::ranges::find(zones, wanted->name, &TlsSessionZone::name);
  if (zone == zones.end()) zone = zones.insert(zone, *wanted);
  if (zone->size != size) {
    return InvalidArgument(fmt::format(
        "the size {} of shared memory zone \"{}\" conflicts with already declared size {}", size,
        zone->name, zone->size));
  }
  b.tls->session_cache = T::SessionCache::kShared;
  b.tls->session_zone = static_cast<int>(zone - zones.begin());
  return {};
}

// "builtin[:SESSIONS]"
bool IsBuiltin(std::string_view text) {
  constexpr std::string_view kWord = "builtin";
  if (!text.starts_with(kWord)) return false;
  text.remove_prefix(kWord.size());
  return text.empty() || (text.starts_with(':') && ParseDecimal(text.substr(1)));
}

Status SessionCache(Block& b, const Directive& d) {
  T& tls = *b.tls;
  if (b.First(&tls.session_cache)) {
    tls.session_zone = -1;
    tls.session_cache = T::SessionCache::kNone;
  }
  for (const std::string& text : d.args) {
    if (text == "off") {
      tls.session_cache = T::SessionCache::kOff;
    } else if (text == "none") {
      tls.session_cache = T::SessionCache::kNone;
    } else if (IsBuiltin(text)) {
      if (tls.session_cache != T::SessionCache::kShared)
        tls.session_cache = T::SessionCache::kBuiltin;
    } else if (text.starts_with("shared:")) {
      if (Status s = SharedCache(b, text); !s) return s;
    } else {
      return InvalidArgument(fmt::format("invalid session cache \"{}\"", text));
    }
  }
  return {};
}

Status CertificateCache(Block& b, const Directive& d) {
  return ParseTlsCertificateCache(d, b.tls->certificate_cache);
}

// "off" is what happens anyway.
Status Ocsp(Block&, const Directive& d) {
  if (EqualsIgnoreCase(d.args[0], "off")) return {};
  return InvalidArgument("\"ssl_ocsp\" is not supported on this platform: write ssl_crl instead");
}

// Nobody is asked about clients' certificates: there is nothing to be remembered.
Status OcspCache(Block&, const Directive& d) {
  if (d.args[0] == "off") return {};
  const Result<TlsSessionZone> zone = SharedZone("OCSP cache", d.args[0]);
  return zone ? Status{} : zone.error();
}

// What OpenSSL 3.0 does not have, nginx goes on without, too.
Status EchFile(Block& b, const Directive& d) {
  b.loader.Warn(d, "\"ssl_ech_file\" is not supported on this platform, ignored");
  return {};
}

Status CertificateCompression(Block& b, const Directive& d) {
  bool on = false;
  if (Status s = Flag{}(b, d, d.args[0], on); !s) return s;
  if (on)
    b.loader.Warn(d, "\"ssl_certificate_compression\" is not supported on this platform, ignored");
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
    {"ssl_certificate", kHere, kOneArg, kMany, AddName<&T::certificates, false>, "",
     "a certificate with its chain: a PEM file, or data:PEM; with variables, read at handshakes"},
    {"ssl_certificate_key", kHere, kOneArg, kMany, AddName<&T::certificate_keys, true>, "",
     "the key of the certificate: a PEM file, data:PEM, or store:URI"},
    {"ssl_certificate_cache", kHere, Takes(1, 2, 3), kOnce, CertificateCache, "off",
     "off | max=N [inactive=10s] [valid=60s]: keeps what was read at handshakes, in each worker"},
    {"ssl_protocols", kHere, AtLeast(1), kMany, Bits<kTlsProtocols, &T::protocols>,
     "TLSv1.2 TLSv1.3", "TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3 …"},
    {"ssl_ciphers", kHere, kOneArg, kOnce, Setting<OpenSslText, &T::ciphers>, "HIGH:!aNULL:!MD5",
     "ciphers, as OpenSSL names them"},
    {"ssl_prefer_server_ciphers", kHere, kOneArg, kOnce, Setting<Flag, &T::prefer_server_ciphers>,
     "off", "the server's order of ciphers counts"},
    {"ssl_session_cache", kHere, Takes(1, 2), kMany, SessionCache, "none",
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
    {"ssl_ecdh_curve", kHere, kOneArg, kOnce, Setting<OpenSslText, &T::ecdh_curve>, "auto",
     "curves of the key exchange, as OpenSSL names them"},
    {"ssl_dhparam", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::dhparam>, "",
     "parameters of DHE ciphers (PEM)"},
    {"ssl_session_ticket_key", kHere, kOneArg, kMany, AddPath<&T::ticket_keys>, "",
     "keys of session tickets, 48 or 80 random bytes; the first encrypts"},
    {"ssl_early_data", kHere, kOneArg, kOnce, Setting<Flag, &T::early_data>, "off",
     "accept requests in the first flight of a resumed TLS 1.3 session; they may be replayed: see "
     "$ssl_early_data"},
    {"ssl_stapling", kHere, kOneArg, kOnce, Setting<Flag, &T::stapling>, "off",
     "send the certificate's status by OCSP with the handshake"},
    {"ssl_stapling_file", kHere, kOneArg, kOnce, Setting<ConfDirPath, &T::stapling_file>, "",
     "the status (DER), instead of asking for it"},
    {"ssl_stapling_responder", kHere, kOneArg, kOnce, Setting<Text, &T::stapling_responder>, "",
     "http://… to ask, instead of the responder that the certificate names"},
    {"ssl_stapling_verify", kHere, kOneArg, kOnce, Setting<Flag, &T::stapling_verify>, "off",
     "verify the status with the CAs of ssl_trusted_certificate"},
    {"ssl_ocsp", kHere, kOneArg, kOnce, Ocsp, "off",
     "off; asking for the status of clients' certificates is refused: use ssl_crl"},
    {"ssl_ocsp_responder", kHere, kOneArg, kInert, Accepted, "",
     "accepted; nobody is asked about clients' certificates"},
    {"ssl_ocsp_cache", kHere, kOneArg, kOnce, OcspCache, "off",
     "off or shared:NAME:SIZE; nothing is kept there, as nobody is asked about clients' "
     "certificates"},
    {"ssl_certificate_compression", kHere, kOneArg, kOnce, CertificateCompression, "off",
     "accepted with a warning: OpenSSL 3.0 has none"},
    {"ssl_ech_file", kHere, kOneArg, kMany, EchFile, "",
     "accepted with a warning: OpenSSL 3 has no Encrypted Client Hello"},
    {"ssl_conf_command", kHere, Takes(2), kMany, Command, "",
     "NAME VALUE: any other setting of OpenSSL"},
});

}  // namespace

Status CompileTlsName(Block& b, const Directive& d, bool is_key, Template& out) {
  const std::string& text = d.args[0];
  if (text.empty()) return Refuse(d, "has an empty file name");
  if (Status s = Strings{}(b, d, text, out); !s || !out.is_constant()) return s;
  if (is_key && text.starts_with(kTlsEngine)) {
    return InvalidArgument("loading \"engine:...\" certificate keys is not supported");
  }
  if (!IsTlsPath(text, is_key)) return {};
  out = Template::Literal(b.loader.FromConfDir(text));
  b.loader.NoteFile(d, out.source());
  return {};
}

Status ParseTlsCertificateCache(const Directive& d,
                                std::shared_ptr<const TlsCertificateCache>& out) {
  TlsCertificateCache cache;
  bool off = false;
  for (const std::string& text : d.args) {
    bool good = true;
    if (const auto max = After(text, "max=")) {
      const auto n = ParseDecimal(*max);
      good = n && *n > 0 && *n <= INT32_MAX;
      if (good) cache.max = static_cast<size_t>(*n);
    } else if (const auto inactive = After(text, "inactive=")) {
      const auto time = ParseTime(*inactive, true);
      good = time.has_value();
      if (good) cache.inactive = *time;
    } else if (const auto valid = After(text, "valid=")) {
      const auto time = ParseTime(*valid, true);
      good = time.has_value();
      if (good) cache.valid = *time;
    } else {
      good = off = text == "off";
    }
    if (!good) return InvalidParameter(text);
  }
  out = nullptr;
  if (off) return {};
  if (cache.max == 0)
    return InvalidArgument(fmt::format("\"{}\" must have the \"max\" parameter", d.name));
  out = std::make_shared<const TlsCertificateCache>(cache);
  return {};
}

Status OpenSslText::operator()(Block& b, const Directive& d, const std::string& text,
                               std::string& out) const {
  out = text;
  b.loader.NoteFile(d, text);
  return {};
}

Status AddTlsCommand(Block& b, const Directive& d, TlsCommands& commands) {
  static constexpr std::array<std::string_view, 9> kFiles = {
      "Certificate",  "PrivateKey",    "ServerInfoFile", "DHParameters", "ChainCAFile",
      "VerifyCAFile", "RequestCAFile", "ClientCAFile",   "VerifyCAPath"};
  if (b.First(&commands)) commands.clear();
  const bool is_file = std::find(kFiles.begin(), kFiles.end(), d.args[0]) != kFiles.end();
  const std::string value = is_file ? b.loader.FromConfDir(d.args[1]) : d.args[1];
  b.loader.NoteFile(d, fmt::format("{}\", \"{}", d.args[0], value));  // as the error quotes both
  commands.emplace_back(d.args[0], value);
  return {};
}

constinit const std::span<const Row> kTlsDirectives = kRows;

}  // namespace limpet::conf
