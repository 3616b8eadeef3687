#include "proto/http2/head.h"

#include <array>
#include <cstring>

#include "base/text.h"
#include "proto/http1/request_rules.h"

namespace limpet::proto {
namespace {

constexpr int kBadRequest = 400;
constexpr int kHeaderTooLarge = 494;
constexpr int kNotImplemented = 501;
constexpr size_t kMaxDetail = 256;  // a log line stays readable
constexpr size_t kManyCrumbs = 64;  // memory for more is not kept for the next request

enum NameChar : uint8_t { kUsual = 0, kUnderscore = 1, kToken = 2, kNoToken = 4, kForbidden = 8 };

// nginx drops or keeps names with kToken and kNoToken. A name with kForbidden is refused whatever
// the configuration says: it would be another name, or more than one line, in HTTP/1.1.
constexpr std::array<NameChar, 256> MakeNameChars() {
  std::array<NameChar, 256> table{};
  for (size_t c = 0; c < 256; ++c) table[c] = c <= 0x20 || c == 0x7F ? kForbidden : kNoToken;
  for (const char c : std::string_view("!#$%&'*+.^`|~"))
    table[static_cast<unsigned char>(c)] = kToken;
  for (size_t c = 'A'; c <= 'Z'; ++c) table[c] = kForbidden;  // RFC 9113 8.2.1
  for (size_t c = 'a'; c <= 'z'; ++c) table[c] = kUsual;
  for (size_t c = '0'; c <= '9'; ++c) table[c] = kUsual;
  table[':'] = kForbidden;
  table['-'] = kUsual;
  table['_'] = kUnderscore;
  return table;
}
constexpr std::array<NameChar, 256> kNameChars = MakeNameChars();

unsigned Classify(std::string_view name) {
  unsigned seen = 0;
  for (const char c : name) seen |= kNameChars[static_cast<unsigned char>(c)];
  return seen;
}

// RFC 9113 8.2.1, and no other control either: a strict upstream would refuse the whole request.
bool IsValue(std::string_view value) { return IsFieldValue(value); }

bool IsPseudoValue(std::string_view value) {
  return IsValue(value) && TrimSpaces(value).size() == value.size();
}

bool IsMethod(std::string_view text) {
  for (const char c : text) {
    if ((c < 'A' || c > 'Z') && c != '_' && c != '-') return false;
  }
  return true;
}

bool IsScheme(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = AsciiLower(text[i]);
    if (c >= 'a' && c <= 'z') continue;
    if (i == 0 || (!IsDigit(c) && c != '+' && c != '-' && c != '.')) return false;
  }
  return true;
}

// Fields of one connection have no place here (RFC 9113 8.2.2): "" for all others.
std::string_view WhyOfConnection(HeaderId id) {
  switch (id) {
    case HeaderId::kConnection:
      return "client sent \"Connection\" header";
    case HeaderId::kKeepAlive:
      return "client sent \"Keep-Alive\" header";
    case HeaderId::kProxyConnection:
      return "client sent \"Proxy-Connection\" header";
    case HeaderId::kTransferEncoding:
      return "client sent \"Transfer-Encoding\" header";
    case HeaderId::kUpgrade:
      return "client sent \"Upgrade\" header";
    default:
      return {};
  }
}

constexpr std::string_view kInvalidName = "client sent invalid header name";
constexpr std::string_view kInvalidValue = "client sent header with invalid value";

}  // namespace

void RequestHeadBuilder::Begin(const Http2HeadRules& rules, std::pmr::memory_resource* memory) {
  rules_ = rules;
  memory_ = memory;
  piece_ = {};
  HeaderList headers = std::move(head_.headers);  // with its memory
  headers.Clear();
  headers.Reserve(4);
  head_ = {.version_major = 2,
           .version_minor = 0,
           .protocol = "HTTP/2.0",
           .headers = std::move(headers)};
  framing_ = {};
  error_ = {};
  fault_ = HeadFault::kNone;
  method_ = scheme_ = authority_ = path_ = protocol_ = {};
  if (crumbs_.capacity() > kManyCrumbs) std::vector<std::string_view>().swap(crumbs_);
  crumbs_.clear();
  size_ = ignored_fields_ = 0;
  first_ignored_name_ = {};
  has_authority_ = in_regular_ = false;
}

void RequestHeadBuilder::UseFieldRules(const HeadLimits& limits) {
  rules_.limits.max_headers = limits.max_headers;
  rules_.limits.ignore_invalid_headers = limits.ignore_invalid_headers;
  rules_.limits.underscores_in_headers = limits.underscores_in_headers;
}

void RequestHeadBuilder::Fail(HeadFault fault, int status, std::string_view reason,
                              std::string_view detail) {
  fault_ = fault;
  error_ = {status, reason, Keep(detail.substr(0, kMaxDetail))};
}

void RequestHeadBuilder::Refuse(std::string_view reason, std::string_view detail) {
  Fail(HeadFault::kAnswer, kBadRequest, reason, detail);
}

// Small texts share a piece of memory; less than half of one is left over.
char* RequestHeadBuilder::Take(size_t size) {
  constexpr size_t kPiece = 128;
  const auto allocate = [this](size_t bytes) {
    return static_cast<char*>(memory_->allocate(bytes, 1));
  };
  if (size > piece_.size()) {
    if (size >= kPiece / 2) return allocate(size);
    piece_ = {allocate(kPiece), kPiece};
  }
  char* const taken = piece_.data();
  piece_ = piece_.subspan(size);
  return taken;
}

std::string_view RequestHeadBuilder::Keep(std::string_view text) {
  if (text.empty()) return {};
  char* const kept = Take(text.size());
  std::memcpy(kept, text.data(), text.size());
  return {kept, text.size()};
}

std::string_view RequestHeadBuilder::Join(std::span<const std::string_view> parts,
                                          std::string_view separator) {
  size_t size = separator.size() * (parts.size() - 1);
  for (const std::string_view part : parts) size += part.size();
  char* const joined = Take(size);
  char* at = joined;
  const auto append = [&at](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) append(separator);
    append(parts[i]);
  }
  return {joined, size};
}

HeadFault RequestHeadBuilder::Add(std::string_view name, std::string_view value) {
  if (fault_ == HeadFault::kCalm || fault_ == HeadFault::kProtocol) return fault_;
  if (!Count(name, value) || fault_ != HeadFault::kNone) return fault_;
  if (name.front() == ':') {
    AddPseudo(name, value);
  } else {
    AddRegular(name, TrimSpaces(value));  // as nginx and HTTP/1: white space is no part of it
  }
  return fault_;
}

// nginx's limits and what they cost: one string is at most `max_line`, all together are at most
// `max_total`.
bool RequestHeadBuilder::Count(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size();
  if (name.empty()) {
    Fail(HeadFault::kProtocol, kBadRequest, "client sent zero header name length");
  } else if (name.size() > rules_.limits.max_line || value.size() > rules_.limits.max_line) {
    Fail(HeadFault::kCalm, kHeaderTooLarge, "client sent too large header field");
  } else if (size_ > rules_.limits.max_total) {
    Fail(HeadFault::kCalm, kHeaderTooLarge, "client sent too large header");
  } else {
    return true;
  }
  return false;
}

void RequestHeadBuilder::SetOnce(std::string_view* field, std::string_view name,
                                 std::string_view value) {
  if (!field->empty()) return Refuse("client sent duplicate pseudo-header", name);
  if (value.empty()) return Refuse("client sent empty pseudo-header", name);
  *field = Keep(value);
}

void RequestHeadBuilder::AddPseudo(std::string_view name, std::string_view value) {
  if (in_regular_) return Refuse("client sent out of order pseudo-headers", name);
  if (Is(name, ":path")) {  // what it means is for ParseTarget
    if (!IsVisible(value)) return Refuse("client sent invalid :path header", value);
    return SetOnce(&path_, name, value);
  }
  if (Is(name, ":method")) {
    if (!IsMethod(value)) return Refuse("client sent invalid method", value);
    return SetOnce(&method_, name, value);
  }
  if (Is(name, ":scheme")) {
    if (!IsScheme(value)) return Refuse("client sent invalid :scheme header", value);
    return SetOnce(&scheme_, name, value);
  }
  if (Is(name, ":authority")) {
    if (has_authority_) return Refuse("client sent duplicate pseudo-header", name);
    if (!IsPseudoValue(value)) return Refuse(kInvalidValue, name);
    has_authority_ = true;
    authority_ = Keep(value);
    return;
  }
  if (Is(name, ":protocol") && rules_.websocket) {
    if (!IsPseudoValue(value)) return Refuse(kInvalidValue, name);
    return SetOnce(&protocol_, name, value);
  }
  Refuse("client sent unknown pseudo-header", name);
}

// All are there, once the first regular field or the end has come.
void RequestHeadBuilder::CheckPseudo() {
  if (method_.empty()) return Refuse("client sent no :method header");
  const Method method = LookupMethod(method_);
  if (!protocol_.empty() && method != Method::kConnect)
    return Refuse("client sent :protocol header without CONNECT method", method_);
  // CONNECT has an authority alone (RFC 9113 8.5), but with :protocol (RFC 8441 4).
  if (method == Method::kConnect && protocol_.empty()) return;
  if (scheme_.empty()) return Refuse("client sent no :scheme header");
  if (path_.empty()) return Refuse("client sent no :path header");
  const bool is_asterisk = path_ == "*" && method == Method::kOptions;
  if (path_[0] != '/' && !is_asterisk) Refuse("client sent invalid :path header", path_);
}

void RequestHeadBuilder::AddRegular(std::string_view name, std::string_view value) {
  if (!in_regular_) {
    in_regular_ = true;
    CheckPseudo();
    if (fault_ != HeadFault::kNone) return;
  }
  const HeaderId id = LookupHeader(name);
  const unsigned seen = Classify(name);
  if (seen >= kForbidden) return Refuse(kInvalidName, name);
  if (!IsValue(value)) return Refuse(kInvalidValue, name);
  const bool unusual =
      (seen & (kToken | kNoToken)) != 0 || (seen != 0 && !rules_.limits.underscores_in_headers);
  if (unusual && rules_.limits.ignore_invalid_headers) {
    if (ignored_fields_++ == 0) first_ignored_name_ = Keep(name.substr(0, kMaxDetail));
    return;
  }
  if ((seen & kNoToken) != 0) return Refuse(kInvalidName, name);  // no upstream could read it
  if (const std::string_view why = WhyOfConnection(id); !why.empty()) return Refuse(why);
  if (id == HeaderId::kTe && (head_.headers.Has(id) || !EqualsIgnoreCase(value, "trailers")))
    return Refuse("client sent invalid \"TE\" header", value);
  if (id == HeaderId::kCookie) {
    if (!value.empty()) crumbs_.push_back(Keep(value));  // a blank would be left of an empty one
    return;
  }
  if (head_.headers.size() >= rules_.limits.max_headers) {
    return Fail(HeadFault::kAnswer, kHeaderTooLarge, "client sent too many header lines");
  }
  const std::string_view kept_name = Keep(name);
  head_.headers.Add(id, kept_name, Keep(value), true);
}

HeadFault RequestHeadBuilder::Finish() {
  if (fault_ == HeadFault::kNone && !in_regular_) CheckPseudo();
  ComposeRequestLine();
  framing_ = RequestFraming(head_);
  fault_ == HeadFault::kNone ? SettleHost() : NoteHost();
  if (fault_ == HeadFault::kNone) JoinCookie();
  if (fault_ == HeadFault::kNone) CheckRegular();
  if (fault_ == HeadFault::kNone && !protocol_.empty()) BecomeUpgrade();
  return fault_;
}

// As nginx shows it: $request is made of what a request line would have.
void RequestHeadBuilder::ComposeRequestLine() {
  const std::string_view target = path_.empty() ? authority_ : path_;
  head_.method_name = method_;
  head_.method = LookupMethod(method_);
  head_.target = target;
  if (method_.empty() || target.empty()) return;
  const std::array parts = {method_, target, head_.protocol};
  head_.request_line = Join(parts, " ");
}

// :authority stands in for Host (RFC 9113 8.3.1); a Host beside it must not name another server.
void RequestHeadBuilder::SettleHost() {
  HeaderList& headers = head_.headers;
  if (headers.Count(HeaderId::kHost) > 1) return Refuse("client sent duplicate host header");
  const Header* const host = headers.Find(HeaderId::kHost);
  if (!has_authority_) {
    if (host == nullptr || host->value.empty())
      Refuse("client sent neither \":authority\" nor \"Host\" header");
    return;
  }
  if (authority_.empty()) return Refuse("client sent invalid \":authority\" header");
  if (host == nullptr) return headers.Add(HeaderId::kHost, "host", authority_, true);
  if (host->value != authority_)
    Refuse("client sent \":authority\" and \"Host\" headers with different values");
}

// For whoever logs a head that is refused.
void RequestHeadBuilder::NoteHost() {
  if (!authority_.empty() && !head_.headers.Has(HeaderId::kHost))
    head_.headers.Add(HeaderId::kHost, "host", authority_, true);
}

// RFC 9113 8.2.3: a client may split its cookie; an upstream gets one field.
void RequestHeadBuilder::JoinCookie() {
  if (crumbs_.empty()) return;
  std::string_view cookie = crumbs_.front();
  if (crumbs_.size() > 1) cookie = Join(crumbs_, "; ");
  head_.headers.Add(HeaderId::kCookie, "cookie", cookie, true);
}

void RequestHeadBuilder::CheckRegular() {
  const bool is_tunnel = head_.method == Method::kConnect && !protocol_.empty();
  if (is_tunnel && head_.headers.Has(HeaderId::kContentLength))
    return Refuse("client sent CONNECT request with body");
  HeadError error = CheckFields(head_, framing_);
  if (error.status == 0 && !is_tunnel) error = CheckMethod(head_);
  if (error.status != 0) Fail(HeadFault::kAnswer, error.status, error.reason, error.detail);
}

void RequestHeadBuilder::BecomeUpgrade() {
  if (protocol_ != "websocket") {  // RFC 9220 3: the answer for a protocol that is not known
    return Fail(HeadFault::kAnswer, kNotImplemented, "client sent unknown :protocol header",
                protocol_);
  }
  head_.method = Method::kGet;
  head_.method_name = Name(Method::kGet);
  head_.connection.upgrade = true;
  head_.headers.RemoveAll("sec-websocket-key");
  head_.headers.Add(HeaderId::kUpgrade, "upgrade", protocol_);
  head_.headers.Add(HeaderId::kConnection, "connection", "Upgrade");
}

std::string_view TrailerFault(std::string_view name, std::string_view value) {
  if (name.empty() || name.front() == ':') return "client sent pseudo-header in trailers";
  if ((Classify(name) & (kForbidden | kNoToken)) != 0) return kInvalidName;
  if (!IsValue(TrimSpaces(value))) return kInvalidValue;
  const HeaderId id = LookupHeader(name);
  if (IsFraming(id) || id == HeaderId::kHost || id == HeaderId::kTe)
    return "client sent header of the head in trailers";
  return WhyOfConnection(id);
}

}  // namespace limpet::proto
