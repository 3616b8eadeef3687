#include "worker/http/exchange/variables.h"

#include <array>

#include "base/text.h"
#include "proto/cookie.h"
#include "worker/http/access/referer.h"
#include "worker/http/filter/browsers.h"
#include "worker/http/variables/field_join.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {
namespace {

using conf::Builtin;
using conf::Value;
using conf::VariableKind;

enum class Keep : bool { kNo, kYes };

struct Row {
  Builtin id;
  Value (*get)(Exchange& exchange);
  Keep keep;  // whether the first value holds for the whole exchange
};

Value GetNothing(Exchange&) { return Value::None(); }

constexpr auto kNo = Keep::kNo;
constexpr auto kYes = Keep::kYes;
constexpr std::array kRows = std::to_array<Row>({
    {Builtin::kArgs, GetArgs, kNo},
    {Builtin::kBinaryRemoteAddr, GetBinaryRemoteAddr, kNo},
    {Builtin::kBodyBytesSent, GetBodyBytesSent, kNo},
    {Builtin::kBytesSent, GetBytesSent, kNo},
    {Builtin::kConnection, GetConnection, kYes},
    {Builtin::kConnectionRequests, GetConnectionRequests, kYes},
    {Builtin::kConnectionTime, GetConnectionTime, kNo},
    {Builtin::kConnectionsActive, GetConnectionsActive, kNo},
    {Builtin::kConnectionsReading, GetConnectionsReading, kNo},
    {Builtin::kConnectionsWaiting, GetConnectionsWaiting, kNo},
    {Builtin::kConnectionsWriting, GetConnectionsWriting, kNo},
    {Builtin::kContentLength, GetContentLength, kNo},
    {Builtin::kContentType, GetContentType, kNo},
    {Builtin::kDateGmt, GetDateGmt, kNo},
    {Builtin::kDateLocal, GetDateLocal, kNo},
    {Builtin::kDocumentRoot, GetDocumentRoot, kNo},
    {Builtin::kDocumentUri, GetUri, kNo},
    {Builtin::kHost, GetHost, kNo},
    {Builtin::kHostname, GetHostname, kNo},
    {Builtin::kHttp2, GetHttp2, kNo},
    {Builtin::kHttps, GetHttps, kNo},
    {Builtin::kInvalidReferer, GetInvalidReferer, kNo},
    {Builtin::kIsArgs, GetIsArgs, kNo},
    {Builtin::kIsRequestPort, GetIsRequestPort, kNo},
    {Builtin::kLimitConnStatus, GetLimitConnStatus, kNo},
    {Builtin::kLimitRate, GetLimitRate, kNo},
    {Builtin::kLimitReqStatus, GetLimitReqStatus, kNo},
    {Builtin::kMsec, GetMsec, kNo},
    {Builtin::kNginxVersion, GetNginxVersion, kNo},
    {Builtin::kPid, GetPid, kYes},
    {Builtin::kPipe, GetPipe, kNo},
    {Builtin::kProxyAddXForwardedFor, GetProxyAddXForwardedFor, kNo},
    {Builtin::kProxyHost, GetProxyHost, kNo},
    {Builtin::kProxyPort, GetProxyPort, kNo},
    {Builtin::kProxyProtocolAddr, GetProxyProtocolAddr, kNo},
    {Builtin::kProxyProtocolPort, GetProxyProtocolPort, kNo},
    {Builtin::kProxyProtocolServerAddr, GetProxyProtocolServerAddr, kNo},
    {Builtin::kProxyProtocolServerPort, GetProxyProtocolServerPort, kNo},
    {Builtin::kQueryString, GetArgs, kNo},
    {Builtin::kRealipRemoteAddr, GetRealipRemoteAddr, kNo},
    {Builtin::kRealipRemotePort, GetRealipRemotePort, kNo},
    {Builtin::kRealpathRoot, GetRealpathRoot, kNo},
    {Builtin::kRemoteAddr, GetRemoteAddr, kNo},
    {Builtin::kRemotePort, GetRemotePort, kNo},
    {Builtin::kRemoteUser, GetRemoteUser, kNo},
    {Builtin::kRequest, GetRequest, kNo},
    {Builtin::kRequestBody, GetRequestBody, kNo},
    {Builtin::kRequestBodyFile, GetRequestBodyFile, kNo},
    {Builtin::kRequestCompletion, GetRequestCompletion, kYes},
    {Builtin::kRequestFilename, GetRequestFilename, kNo},
    {Builtin::kRequestId, GetRequestId, kYes},
    {Builtin::kRequestLength, GetRequestLength, kNo},
    {Builtin::kRequestMethod, GetRequestMethod, kNo},
    {Builtin::kRequestPort, GetRequestPort, kNo},
    {Builtin::kRequestTime, GetRequestTime, kNo},
    {Builtin::kRequestUri, GetRequestUri, kNo},
    {Builtin::kScheme, GetScheme, kNo},
    {Builtin::kServerAddr, GetServerAddr, kYes},
    {Builtin::kServerName, GetServerName, kNo},
    {Builtin::kServerPort, GetServerPort, kYes},
    {Builtin::kServerProtocol, GetServerProtocol, kNo},
    {Builtin::kStatus, GetStatus, kNo},
    {Builtin::kStickyAge, GetStickyAge, kNo},
    {Builtin::kStickyServer, GetStickyServer, kNo},
    {Builtin::kStickyStatus, GetStickyStatus, kNo},
    {Builtin::kTcpinfoRcvSpace, GetTcpinfoRcvSpace, kNo},
    {Builtin::kTcpinfoRtt, GetTcpinfoRtt, kNo},
    {Builtin::kTcpinfoRttvar, GetTcpinfoRttvar, kNo},
    {Builtin::kTcpinfoSndCwnd, GetTcpinfoSndCwnd, kNo},
    {Builtin::kTimeIso8601, GetTimeIso8601, kNo},
    {Builtin::kTimeLocal, GetTimeLocal, kNo},
    {Builtin::kUpstreamAddr, GetUpstreamAddr, kNo},
    {Builtin::kUpstreamBytesReceived, GetUpstreamBytesReceived, kNo},
    {Builtin::kUpstreamBytesSent, GetUpstreamBytesSent, kNo},
    {Builtin::kUpstreamCacheStatus, GetNothing, kNo},  // there is no cache
    {Builtin::kUpstreamConnectTime, GetUpstreamConnectTime, kNo},
    {Builtin::kUpstreamHeaderTime, GetUpstreamHeaderTime, kNo},
    {Builtin::kUpstreamLastServerName, GetUpstreamLastServerName, kNo},
    {Builtin::kUpstreamResponseLength, GetUpstreamResponseLength, kNo},
    {Builtin::kUpstreamResponseTime, GetUpstreamResponseTime, kNo},
    {Builtin::kUpstreamStatus, GetUpstreamStatus, kNo},
    {Builtin::kUpstreamStickyStatus, GetUpstreamStickyStatus, kNo},
    {Builtin::kUri, GetUri, kNo},
    {Builtin::kSslProtocol, GetSslProtocol, kNo},
    {Builtin::kSslCipher, GetSslCipher, kNo},
    {Builtin::kSslCiphers, GetSslCiphers, kYes},
    {Builtin::kSslCurve, GetSslCurve, kNo},
    {Builtin::kSslCurves, GetSslCurves, kYes},
    {Builtin::kSslServerName, GetSslServerName, kNo},
    {Builtin::kSslSessionId, GetSslSessionId, kYes},
    {Builtin::kSslSessionReused, GetSslSessionReused, kNo},
    {Builtin::kSslAlpnProtocol, GetSslAlpnProtocol, kNo},
    {Builtin::kSslClientCert, GetSslClient<CertificateField::kPemInHeader>, kYes},
    {Builtin::kSslClientEscapedCert, GetSslClient<CertificateField::kPemEscaped>, kYes},
    {Builtin::kSslClientFingerprint, GetSslClient<CertificateField::kFingerprint>, kYes},
    {Builtin::kSslClientIssuer, GetSslClient<CertificateField::kIssuer>, kYes},
    {Builtin::kSslClientIssuerLegacy, GetSslClient<CertificateField::kIssuerLegacy>, kYes},
    {Builtin::kSslClientRawCert, GetSslClient<CertificateField::kPem>, kYes},
    {Builtin::kSslClientSubject, GetSslClient<CertificateField::kSubject>, kYes},
    {Builtin::kSslClientSubjectLegacy, GetSslClient<CertificateField::kSubjectLegacy>, kYes},
    {Builtin::kSslClientSerial, GetSslClient<CertificateField::kSerial>, kYes},
    {Builtin::kSslClientVerify, GetSslClient<CertificateField::kVerify>, kYes},
    {Builtin::kSslClientValidEnd, GetSslClient<CertificateField::kValidEnd>, kYes},
    {Builtin::kSslClientValidDays, GetSslClient<CertificateField::kValidDays>, kYes},
    {Builtin::kSslClientValidStart, GetSslClient<CertificateField::kValidStart>, kYes},
    {Builtin::kSslEarlyData, GetSslEarlyData, kNo},
    {Builtin::kSslSigalg, GetSslSigalg, kNo},
    {Builtin::kSslSigalgs, GetSslSigalgs, kYes},
    {Builtin::kSslClientSigalg, GetSslClientSigalg, kNo},
    {Builtin::kSslEchStatus, GetNothing, kNo},           // OpenSSL 3 has no
    {Builtin::kSslEchOuterServerName, GetNothing, kNo},  // Encrypted Client Hello
    {Builtin::kGzipRatio, GetGzipRatio, kNo},
    {Builtin::kMsie, GetMsie, kNo},
    {Builtin::kModernBrowser, GetModernBrowser, kNo},
    {Builtin::kAncientBrowser, GetAncientBrowser, kNo},
});

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].id) != i) return false;
  }
  return kRows.size() == static_cast<size_t>(Builtin::kCount);
}
static_assert(InEnumOrder(), "kRows follows enum Builtin");

const Row& RowOf(Builtin variable) { return kRows[static_cast<size_t>(variable)]; }

Value FoundOrNone(std::optional<std::string_view> text) {
  return text ? Value::Of(*text) : Value::None();
}

// "100", "10k", "2m".
std::optional<uint64_t> ParseSize(std::string_view text) {
  uint64_t unit = 1;
  if (text.ends_with('k') || text.ends_with('K')) unit = 1024;
  if (text.ends_with('m') || text.ends_with('M')) unit = 1024 * 1024;
  if (unit > 1) text.remove_suffix(1);
  const auto number = ParseDecimal(text);
  if (!number || *number > UINT64_MAX / unit) return std::nullopt;
  return *number * unit;
}

}  // namespace

Value SecondsOf(Exchange& exchange, int64_t ms) {
  if (ms < 0) ms = 0;
  return Formatted(exchange, "{}.{:03}", ms / 1000, ms % 1000);
}

Value JoinFields(Exchange& exchange, const proto::HeaderList& fields, std::string_view suffix,
                 std::string_view separator) {
  return JoinFieldValues(exchange, fields, suffix, separator);
}

Value GetBuiltin(Exchange& exchange, Builtin variable) { return RowOf(variable).get(exchange); }

Value GetPrefixed(Exchange& exchange, const conf::Variable& variable) {
  const std::string_view suffix = variable.suffix;
  switch (variable.kind) {
    case VariableKind::kRequestHeader:
      return JoinFields(exchange, exchange.request().headers(), suffix,
                        suffix == "cookie" ? "; " : ", ");
    case VariableKind::kCookie:
      return FoundOrNone(proto::FindCookie(exchange.request().headers(), suffix));
    case VariableKind::kArgument:
      return FoundOrNone(proto::FindArgument(exchange.request().args, suffix));
    case VariableKind::kSentHeader:
      return GetSentHeader(exchange, suffix);
    case VariableKind::kSentTrailer:
      return GetSentTrailer(exchange, suffix);
    case VariableKind::kUpstreamHeader:
      return GetUpstreamHeader(exchange, suffix);
    case VariableKind::kUpstreamTrailer:
      return GetUpstreamTrailer(exchange, suffix);
    case VariableKind::kUpstreamCookie:
      return GetUpstreamCookie(exchange, suffix);
    case VariableKind::kProxyProtocolTlv:
      return GetProxyProtocolTlv(exchange, suffix);
    default:
      return Value::None();
  }
}

bool IsCacheable(const conf::Variable& variable) {
  if (variable.is_volatile) return false;
  switch (variable.kind) {
    case VariableKind::kBuiltin:
      return RowOf(variable.builtin).keep == Keep::kYes;
    case VariableKind::kDerived:
    case VariableKind::kRequestHeader:
    case VariableKind::kCookie:
    case VariableKind::kProxyProtocolTlv:
    case VariableKind::kSentHeader:  // nginx, too, goes by what the first to ask has found
    case VariableKind::kSentTrailer:
      return true;
    default:
      return false;  // arguments change with rewrites, peers with each attempt
  }
}

bool SetBuiltin(Exchange& exchange, Builtin variable, std::string_view value) {
  if (variable == Builtin::kArgs) {
    exchange.request().args = exchange.arena().Copy(value);
    exchange.request().uri_is_original = false;
    return true;
  }
  if (variable != Builtin::kLimitRate) return false;
  if (const auto rate = ParseSize(value)) {
    exchange.set_limit_rate(*rate);
  } else {
    exchange.Log(LogLevel::kError, fmt::format("invalid $limit_rate \"{}\"", value));
  }
  return true;
}

}  // namespace limpet::worker
