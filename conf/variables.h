// Variables: names known at load become numbers, so that a request never looks a name up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/text.h"
#include "conf/regex.h"

namespace limpet::conf {

using VariableId = uint16_t;

struct Value {
  std::string_view text;
  bool found = false;  // a header that is absent is not found; one that is empty is found. Both
                       // print as nothing.

  static Value Of(std::string_view text) { return {text, true}; }
  static Value None() { return {}; }
};

// What knows values that are neither in the configuration nor in the request.
enum class Lookup : uint8_t {
  kGeo,    // databases of addresses: index into GeoSettings::fields (geoip2.h)
  kClaim,  // tokens: index into Tokens::claims (jwt.h)
};

struct Variable;
class VariableReader;

// Lives as long as a variable is being computed from others, on the stack.
class Computing {
 public:
  Computing(VariableReader& reader, std::string_view name);
  ~Computing();
  Computing(const Computing&) = delete;
  Computing& operator=(const Computing&) = delete;

  // It is being computed already, and so is made of itself: it has no value. The reader knows.
  bool is_cycle() const { return is_cycle_; }

 private:
  VariableReader& reader_;
  const Computing* const outer_;
  const std::string_view name_;
  bool is_cycle_ = false;
};

// What evaluation needs of a request. Implemented by worker/http; tests use a map.
class VariableReader {
 public:
  virtual ~VariableReader() = default;
  virtual Value Get(VariableId id) = 0;
  // None where there is nothing to look into: health checks have neither clients nor tokens.
  virtual Value LookUp(Lookup /*where*/, size_t /*index*/) { return Value::None(); }
  virtual Captures& captures() = 0;  // of the request's last regular expression match ($1 … $9)
  virtual void SetNamed(VariableId id, Value value) = 0;  // named groups of a match
  virtual char* Allocate(size_t size) = 0;                // lives as long as the request

  // Of a variable that has `derived`. Implementations of Get() compute such a one by this alone.
  Value Derive(const Variable& variable);

  // A regular expression gave up (`why` says it for a log): what is evaluated now is worth nothing.
  // Whoever acts on values asks first, and answers with an error instead.
  void FailMatch(const std::string& why) {
    failure_status_ = 500;
    OnMatchFailed(why);
  }
  // The same where a token is required: this status is the answer.
  void Refuse(int status) { failure_status_ = status; }
  bool match_failed() const { return failure_status_ != 0; }
  int failure_status() const { return failure_status_; }
  bool TakeMatchFailure() { return std::exchange(failure_status_, 0) != 0; }

 protected:
  virtual void OnMatchFailed(const std::string& /*why*/) {}
  virtual void OnCycle(std::string_view /*name*/) {}  // that variable is made of itself

 private:
  friend class Computing;
  const Computing* computing_ = nullptr;  // the innermost
  int failure_status_ = 0;                // of the answer; 0: nothing has failed
};

// A variable that is a pure function of others: map, geo, split_clients. One file each.
class DerivedVariable {
 public:
  virtual ~DerivedVariable() = default;
  virtual Value Evaluate(VariableReader& reader) const = 0;
};

// One that is looked up: geoip2, jwt_claim.
class LookedUpVariable final : public DerivedVariable {
 public:
  LookedUpVariable(Lookup where, size_t index) : where_(where), index_(index) {}
  Value Evaluate(VariableReader& reader) const override { return reader.LookUp(where_, index_); }

 private:
  Lookup where_;
  size_t index_;
};

// Every variable that limpet itself provides. The order is that of kBuiltinVariables in
// variables.cc and of the table of getters in worker/http; both are checked at compile time.
enum class Builtin : uint8_t {
  kArgs,
  kBinaryRemoteAddr,
  kBodyBytesSent,
  kBytesSent,
  kConnection,
  kConnectionRequests,
  kConnectionTime,
  kConnectionsActive,
  kConnectionsReading,
  kConnectionsWaiting,
  kConnectionsWriting,
  kContentLength,
  kContentType,
  kDateGmt,
  kDateLocal,
  kDocumentRoot,
  kDocumentUri,
  kHost,
  kHostname,
  kHttp2,
  kHttps,
  kInvalidReferer,
  kIsArgs,
  kIsRequestPort,
  kLimitConnStatus,
  kLimitRate,
  kLimitReqStatus,
  kMsec,
  kNginxVersion,
  kPid,
  kPipe,
  kProxyAddXForwardedFor,
  kProxyHost,
  kProxyPort,
  kProxyProtocolAddr,
  kProxyProtocolPort,
  kProxyProtocolServerAddr,
  kProxyProtocolServerPort,
  kQueryString,
  kRealipRemoteAddr,
  kRealipRemotePort,
  kRealpathRoot,
  kRemoteAddr,
  kRemotePort,
  kRemoteUser,
  kRequest,
  kRequestBody,
  kRequestBodyFile,
  kRequestCompletion,
  kRequestFilename,
  kRequestId,
  kRequestLength,
  kRequestMethod,
  kRequestPort,
  kRequestTime,
  kRequestUri,
  kScheme,
  kServerAddr,
  kServerName,
  kServerPort,
  kServerProtocol,
  kStatus,
  kStickyAge,
  kStickyServer,
  kStickyStatus,
  kTcpinfoRcvSpace,
  kTcpinfoRtt,
  kTcpinfoRttvar,
  kTcpinfoSndCwnd,
  kTimeIso8601,
  kTimeLocal,
  kUpstreamAddr,
  kUpstreamBytesReceived,
  kUpstreamBytesSent,
  kUpstreamCacheStatus,
  kUpstreamConnectTime,
  kUpstreamHeaderTime,
  kUpstreamLastServerName,
  kUpstreamResponseLength,
  kUpstreamResponseTime,
  kUpstreamStatus,
  kUpstreamStickyStatus,
  kUri,
  kSslProtocol,
  kSslCipher,
  kSslCiphers,
  kSslCurve,
  kSslCurves,
  kSslServerName,
  kSslSessionId,
  kSslSessionReused,
  kSslAlpnProtocol,
  kSslClientCert,
  kSslClientEscapedCert,
  kSslClientFingerprint,
  kSslClientIssuer,
  kSslClientIssuerLegacy,
  kSslClientRawCert,
  kSslClientSubject,
  kSslClientSubjectLegacy,
  kSslClientSerial,
  kSslClientVerify,
  kSslClientValidEnd,
  kSslClientValidDays,
  kSslClientValidStart,
  kSslEarlyData,
  kSslSigalg,
  kSslSigalgs,
  kSslClientSigalg,
  kSslEchStatus,
  kSslEchOuterServerName,
  kGzipRatio,
  kMsie,
  kModernBrowser,
  kAncientBrowser,
  kCount
};

enum class VariableKind : uint8_t {
  kUndefined,  // mentioned but never defined: an error after load
  kBuiltin,
  kRequestHeader,     // $http_NAME; `suffix` is NAME with _ for -
  kCookie,            // $cookie_NAME
  kArgument,          // $arg_NAME
  kSentHeader,        // $sent_http_NAME
  kSentTrailer,       // $sent_trailer_NAME
  kUpstreamHeader,    // $upstream_http_NAME
  kUpstreamTrailer,   // $upstream_trailer_NAME
  kUpstreamCookie,    // $upstream_cookie_NAME
  kProxyProtocolTlv,  // $proxy_protocol_tlv_NAME
  kUser,              // set, or a named group
  kDerived,           // map, geo, split_clients, geoip2, …
};

struct Variable {
  std::string name;
  VariableKind kind = VariableKind::kUndefined;
  Builtin builtin{};
  std::string suffix;        // lower case
  bool is_volatile = false;  // evaluated at each use, never kept
  bool settable = false;     // `set` may give it a value: users' own, $args, $limit_rate
  bool of_script = false;    // some `set` names it
  std::shared_ptr<const DerivedVariable> derived;
  std::string first_used_at;  // "FILE:LINE", for the error
};

// All variables of one configuration. Ids are dense, from 0.
class VariableTable {
 public:
  // The id of a name, made on first mention. Built-in names and prefixes are defined by being
  // mentioned.
  VariableId Mention(std::string_view name, std::string_view where);
  // For `set` and named groups; an error if the name belongs to limpet and may not be set.
  Result<VariableId> DefineUser(std::string_view name, std::string_view where);
  Result<VariableId> DefineDerived(std::string_view name,
                                   std::shared_ptr<const DerivedVariable> derived,
                                   std::string_view where, bool is_volatile);
  void NoteSet(VariableId id) { variables_[id].of_script = true; }
  Status CheckAllDefined() const;  // unknown "x" variable

  const Variable& operator[](VariableId id) const { return variables_[id]; }
  size_t size() const { return variables_.size(); }

 private:
  std::vector<Variable> variables_;
  std::unordered_map<std::string, VariableId, HashText, std::equal_to<>> ids_;
};

}  // namespace limpet::conf
