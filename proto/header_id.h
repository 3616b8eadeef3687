// The header names a proxy treats specially, as small numbers: a switch or a bit test instead of a
// string compare.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace limpet::proto {

enum class HeaderId : uint8_t {
  kOther,  // any name not listed here
  kAccept,
  kAcceptEncoding,
  kAcceptLanguage,
  kAcceptRanges,
  kAge,
  kAllow,
  kAuthorization,
  kCacheControl,
  kConnection,
  kContentDisposition,
  kContentEncoding,
  kContentLanguage,
  kContentLength,
  kContentLocation,
  kContentRange,
  kContentType,
  kCookie,
  kDate,
  kDepth,
  kDestination,
  kEtag,
  kExpect,
  kExpires,
  kForwarded,
  kHost,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kKeepAlive,
  kLastModified,
  kLink,
  kLocation,
  kOrigin,
  kOverwrite,
  kPragma,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxyConnection,
  kRange,
  kReferer,
  kRefresh,
  kServer,
  kSetCookie,
  kStatus,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kVary,
  kVia,
  kWwwAuthenticate,
  kXAccelBuffering,
  kXAccelCharset,
  kXAccelExpires,
  kXAccelLimitRate,
  kXAccelRedirect,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXRealIp,
  kCount_,  // how many there are; never the id of a header
};
static_assert(static_cast<int>(HeaderId::kCount_) <= 64, "HeaderIds keeps one bit per id in 64");

// A set of them.
class HeaderIds {
 public:
  constexpr HeaderIds() = default;
  constexpr HeaderIds(std::initializer_list<HeaderId> ids) {
    for (const HeaderId id : ids) Add(id);
  }

  constexpr void Add(HeaderId id) { bits_ |= Bit(id); }
  constexpr void Remove(HeaderId id) { bits_ &= ~Bit(id); }
  constexpr bool Has(HeaderId id) const { return (bits_ & Bit(id)) != 0; }
  constexpr bool HasAnyOf(HeaderIds others) const { return (bits_ & others.bits_) != 0; }

 private:
  static constexpr uint64_t Bit(HeaderId id) { return uint64_t{1} << static_cast<unsigned>(id); }

  uint64_t bits_ = 0;
};

HeaderId LookupHeader(std::string_view name);  // any case
std::string_view Name(HeaderId id);            // as RFCs spell it, "Content-Length"; "" for kOther

// These say where a message ends, and what becomes of its connection: whoever writes the message
// writes them, and nobody else may.
constexpr bool IsFraming(HeaderId id) {
  return id == HeaderId::kContentLength || id == HeaderId::kTransferEncoding;
}
constexpr bool IsOfTheHop(HeaderId id) { return IsFraming(id) || id == HeaderId::kConnection; }

}  // namespace limpet::proto
