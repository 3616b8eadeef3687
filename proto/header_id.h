// The header names a proxy treats specially, as small numbers: a switch or a bit test instead of a
// string compare.
#pragma once

#include <cstdint>
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
static_assert(static_cast<int>(HeaderId::kCount_) <= 64, "HeaderList keeps one bit per id in 64");

HeaderId LookupHeader(std::string_view name);  // any case
std::string_view Name(HeaderId id);            // as RFCs spell it, "Content-Length"; "" for kOther

// These say where a message ends, and what becomes of its connection: whoever writes the message
// writes them, and nobody else may.
constexpr bool IsFraming(HeaderId id) {
  return id == HeaderId::kContentLength || id == HeaderId::kTransferEncoding;
}
constexpr bool IsOfTheHop(HeaderId id) { return IsFraming(id) || id == HeaderId::kConnection; }

}  // namespace limpet::proto
