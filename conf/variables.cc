#include "conf/variables.h"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "conf/foreign.h"
#include "conf/near_miss.h"

namespace limpet::conf {
namespace {

struct BuiltinVariable {
  std::string_view name;
  Builtin id;
  bool settable = false;
};

constexpr std::array kBuiltinVariables = std::to_array<BuiltinVariable>({
    {"args", Builtin::kArgs, true},
    {"binary_remote_addr", Builtin::kBinaryRemoteAddr},
    {"body_bytes_sent", Builtin::kBodyBytesSent},
    {"bytes_sent", Builtin::kBytesSent},
    {"connection", Builtin::kConnection},
    {"connection_requests", Builtin::kConnectionRequests},
    {"connection_time", Builtin::kConnectionTime},
    {"connections_active", Builtin::kConnectionsActive},
    {"connections_reading", Builtin::kConnectionsReading},
    {"connections_waiting", Builtin::kConnectionsWaiting},
    {"connections_writing", Builtin::kConnectionsWriting},
    {"content_length", Builtin::kContentLength},
    {"content_type", Builtin::kContentType},
    {"date_gmt", Builtin::kDateGmt},
    {"date_local", Builtin::kDateLocal},
    {"document_root", Builtin::kDocumentRoot},
    {"document_uri", Builtin::kDocumentUri},
    {"host", Builtin::kHost},
    {"hostname", Builtin::kHostname},
    {"http2", Builtin::kHttp2},
    {"https", Builtin::kHttps},
    {"invalid_referer", Builtin::kInvalidReferer, true},
    {"is_args", Builtin::kIsArgs},
    {"is_request_port", Builtin::kIsRequestPort},
    {"limit_conn_status", Builtin::kLimitConnStatus},
    {"limit_rate", Builtin::kLimitRate, true},
    {"limit_req_status", Builtin::kLimitReqStatus},
    {"msec", Builtin::kMsec},
    {"nginx_version", Builtin::kNginxVersion},
    {"pid", Builtin::kPid},
    {"pipe", Builtin::kPipe},
    {"proxy_add_x_forwarded_for", Builtin::kProxyAddXForwardedFor},
    {"proxy_host", Builtin::kProxyHost, true},
    {"proxy_port", Builtin::kProxyPort, true},
    {"proxy_protocol_addr", Builtin::kProxyProtocolAddr},
    {"proxy_protocol_port", Builtin::kProxyProtocolPort},
    {"proxy_protocol_server_addr", Builtin::kProxyProtocolServerAddr},
    {"proxy_protocol_server_port", Builtin::kProxyProtocolServerPort},
    {"query_string", Builtin::kQueryString},
    {"realip_remote_addr", Builtin::kRealipRemoteAddr},
    {"realip_remote_port", Builtin::kRealipRemotePort},
    {"realpath_root", Builtin::kRealpathRoot},
    {"remote_addr", Builtin::kRemoteAddr},
    {"remote_port", Builtin::kRemotePort},
    {"remote_user", Builtin::kRemoteUser},
    {"request", Builtin::kRequest},
    {"request_body", Builtin::kRequestBody},
    {"request_body_file", Builtin::kRequestBodyFile},
    {"request_completion", Builtin::kRequestCompletion},
    {"request_filename", Builtin::kRequestFilename},
    {"request_id", Builtin::kRequestId},
    {"request_length", Builtin::kRequestLength},
    {"request_method", Builtin::kRequestMethod},
    {"request_port", Builtin::kRequestPort},
    {"request_time", Builtin::kRequestTime},
    {"request_uri", Builtin::kRequestUri},
    {"scheme", Builtin::kScheme},
    {"server_addr", Builtin::kServerAddr},
    {"server_name", Builtin::kServerName},
    {"server_port", Builtin::kServerPort},
    {"server_protocol", Builtin::kServerProtocol},
    {"status", Builtin::kStatus},
    {"sticky_age", Builtin::kStickyAge},
    {"sticky_server", Builtin::kStickyServer},
    {"sticky_status", Builtin::kStickyStatus},
    {"tcpinfo_rcv_space", Builtin::kTcpinfoRcvSpace},
    {"tcpinfo_rtt", Builtin::kTcpinfoRtt},
    {"tcpinfo_rttvar", Builtin::kTcpinfoRttvar},
    {"tcpinfo_snd_cwnd", Builtin::kTcpinfoSndCwnd},
    {"time_iso8601", Builtin::kTimeIso8601},
    {"time_local", Builtin::kTimeLocal},
    {"upstream_addr", Builtin::kUpstreamAddr},
    {"upstream_bytes_received", Builtin::kUpstreamBytesReceived},
    {"upstream_bytes_sent", Builtin::kUpstreamBytesSent},
    {"upstream_cache_status", Builtin::kUpstreamCacheStatus},
    {"upstream_connect_time", Builtin::kUpstreamConnectTime},
    {"upstream_header_time", Builtin::kUpstreamHeaderTime},
    {"upstream_last_server_name", Builtin::kUpstreamLastServerName},
    {"upstream_response_length", Builtin::kUpstreamResponseLength},
    {"upstream_response_time", Builtin::kUpstreamResponseTime},
    {"upstream_status", Builtin::kUpstreamStatus},
    {"upstream_sticky_status", Builtin::kUpstreamStickyStatus},
    {"uri", Builtin::kUri},
    {"ssl_protocol", Builtin::kSslProtocol, true},
    {"ssl_cipher", Builtin::kSslCipher, true},
    {"ssl_ciphers", Builtin::kSslCiphers, true},
    {"ssl_curve", Builtin::kSslCurve, true},
    {"ssl_curves", Builtin::kSslCurves, true},
    {"ssl_server_name", Builtin::kSslServerName, true},
    {"ssl_session_id", Builtin::kSslSessionId, true},
    {"ssl_session_reused", Builtin::kSslSessionReused, true},
    {"ssl_alpn_protocol", Builtin::kSslAlpnProtocol, true},
    {"ssl_client_cert", Builtin::kSslClientCert, true},
    {"ssl_client_escaped_cert", Builtin::kSslClientEscapedCert, true},
    {"ssl_client_fingerprint", Builtin::kSslClientFingerprint, true},
    {"ssl_client_i_dn", Builtin::kSslClientIssuer, true},
    {"ssl_client_i_dn_legacy", Builtin::kSslClientIssuerLegacy, true},
    {"ssl_client_raw_cert", Builtin::kSslClientRawCert, true},
    {"ssl_client_s_dn", Builtin::kSslClientSubject, true},
    {"ssl_client_s_dn_legacy", Builtin::kSslClientSubjectLegacy, true},
    {"ssl_client_serial", Builtin::kSslClientSerial, true},
    {"ssl_client_verify", Builtin::kSslClientVerify, true},
    {"ssl_client_v_end", Builtin::kSslClientValidEnd, true},
    {"ssl_client_v_remain", Builtin::kSslClientValidDays, true},
    {"ssl_client_v_start", Builtin::kSslClientValidStart, true},
    {"ssl_early_data", Builtin::kSslEarlyData, true},
    {"ssl_sigalg", Builtin::kSslSigalg, true},
    {"ssl_sigalgs", Builtin::kSslSigalgs, true},
    {"ssl_client_sigalg", Builtin::kSslClientSigalg, true},
    {"ssl_ech_status", Builtin::kSslEchStatus, true},
    {"ssl_ech_outer_server_name", Builtin::kSslEchOuterServerName, true},
    {"gzip_ratio", Builtin::kGzipRatio},
    {"msie", Builtin::kMsie, true},
    {"modern_browser", Builtin::kModernBrowser, true},
    {"ancient_browser", Builtin::kAncientBrowser, true},
});

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < kBuiltinVariables.size(); ++i) {
    if (static_cast<size_t>(kBuiltinVariables[i].id) != i) return false;
  }
  return kBuiltinVariables.size() == static_cast<size_t>(Builtin::kCount);
}
static_assert(InEnumOrder(), "kBuiltinVariables follows enum Builtin");

struct Prefix {
  std::string_view text;
  VariableKind kind;
};

constexpr std::array kPrefixes = std::to_array<Prefix>({
    {"http_", VariableKind::kRequestHeader},
    {"cookie_", VariableKind::kCookie},
    {"arg_", VariableKind::kArgument},
    {"sent_http_", VariableKind::kSentHeader},
    {"sent_trailer_", VariableKind::kSentTrailer},
    {"upstream_http_", VariableKind::kUpstreamHeader},
    {"upstream_trailer_", VariableKind::kUpstreamTrailer},
    {"upstream_cookie_", VariableKind::kUpstreamCookie},
    {"proxy_protocol_tlv_", VariableKind::kProxyProtocolTlv},
});

const BuiltinVariable* FindBuiltin(std::string_view name) {
  for (const BuiltinVariable& b : kBuiltinVariables) {
    if (b.name == name) return &b;
  }
  return nullptr;
}

}  // namespace

Computing::Computing(VariableReader& reader, std::string_view name)
    : reader_(reader), outer_(reader.computing_), name_(name) {
  for (const Computing* other = outer_; other != nullptr && !is_cycle_; other = other->outer_) {
    is_cycle_ = other->name_ == name;
  }
  reader.computing_ = this;
  if (is_cycle_) reader.OnCycle(name);
}

Computing::~Computing() { reader_.computing_ = outer_; }

Value VariableReader::Derive(const Variable& variable) {
  const Computing computing(*this, variable.name);
  return computing.is_cycle() ? Value::None() : variable.derived->Evaluate(*this);
}

// Names are compared without regard to case, as nginx does.
VariableId VariableTable::Mention(std::string_view raw, std::string_view where) {
  std::string name = ToLower(raw);
  if (const auto it = ids_.find(name); it != ids_.end()) return it->second;
  Variable v;
  v.first_used_at = where;
  const bool of_cache = name.starts_with("upstream_cache_");  // nothing is kept: all are empty
  if (const BuiltinVariable* builtin = FindBuiltin(of_cache ? "upstream_cache_status" : name)) {
    v.kind = VariableKind::kBuiltin;
    v.builtin = builtin->id;
    v.settable = builtin->settable;
  } else {
    for (const Prefix& prefix : kPrefixes) {
      if (!name.starts_with(prefix.text)) continue;
      v.kind = prefix.kind;
      v.suffix = name.substr(prefix.text.size());
    }
  }
  if (name == "slice_range") {  // no slices: an upstream is asked for what the client asks for
    v.kind = VariableKind::kRequestHeader;
    v.suffix = "range";
  }
  v.name = name;
  const auto id = static_cast<VariableId>(variables_.size());
  variables_.push_back(std::move(v));
  ids_.emplace(std::move(name), id);
  return id;
}

Result<VariableId> VariableTable::DefineUser(std::string_view name, std::string_view where) {
  const VariableId id = Mention(name, where);
  Variable& v = variables_[id];
  if (v.kind == VariableKind::kBuiltin && !v.settable) {
    return InvalidArgument(fmt::format("the duplicate \"{}\" variable", v.name));
  }
  if (v.kind != VariableKind::kBuiltin && v.kind != VariableKind::kDerived)
    v.kind = VariableKind::kUser;
  v.settable = true;
  return id;
}

Result<VariableId> VariableTable::DefineDerived(std::string_view name,
                                                std::shared_ptr<const DerivedVariable> derived,
                                                std::string_view where, bool is_volatile) {
  if (name.empty()) return InvalidArgument("invalid variable name \"$\"");
  const VariableId id = Mention(name, where);
  Variable& v = variables_[id];
  if (v.kind == VariableKind::kBuiltin && !v.settable)
    return InvalidArgument(fmt::format("the duplicate \"{}\" variable", v.name));
  v.kind = VariableKind::kDerived;
  v.derived = std::move(derived);
  v.is_volatile = is_volatile;
  v.settable = true;
  return id;
}

Status VariableTable::CheckAllDefined() const {
  if (variables_.size() > std::numeric_limits<VariableId>::max())
    return InvalidArgument("too many variables");
  for (const Variable& v : variables_) {
    if (v.kind != VariableKind::kUndefined) continue;
    NearMiss near(v.name);
    for (const Variable& other : variables_) {
      if (other.kind == VariableKind::kDerived) near.Offer(other.name);
    }
    const std::string_view area = AreaOfForeignVariable(v.name);
    if (!area.empty() && near.Hint().empty()) {
      return InvalidArgument(
          fmt::format("unknown \"{}\" variable: {} in {}", v.name, area, v.first_used_at));
    }
    for (const BuiltinVariable& builtin : kBuiltinVariables) near.Offer(builtin.name);
    for (const Variable& other : variables_) {
      if (other.kind != VariableKind::kUndefined) near.Offer(other.name);
    }
    return InvalidArgument(
        fmt::format("unknown \"{}\" variable{} in {}", v.name, near.Hint(), v.first_used_at));
  }
  return {};
}

}  // namespace limpet::conf
