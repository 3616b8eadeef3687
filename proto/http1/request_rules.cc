#include "proto/http1/request_rules.h"

namespace limpet::proto {
namespace {

constexpr int kBadRequest = 400;
constexpr int kNotAllowed = 405;

// Headers whose second line contradicts the first; nginx refuses the request. Host and the framing
// headers have messages of their own.
constexpr HeaderIds kUnique = {
    HeaderId::kIfModifiedSince, HeaderId::kIfUnmodifiedSince, HeaderId::kIfMatch,
    HeaderId::kIfNoneMatch,     HeaderId::kContentRange,      HeaderId::kIfRange,
    HeaderId::kExpect,          HeaderId::kAuthorization,     HeaderId::kProxyAuthorization};

const Header* FirstRepeated(const HeaderList& headers) {
  if (!headers.HasAnyOf(kUnique)) return nullptr;
  for (const Header& header : headers) {
    if (kUnique.Has(header.id) && headers.Count(header.id) > 1) return &header;
  }
  return nullptr;
}

}  // namespace

HeadError CheckRequest(const RequestHead& head, const Framing& framing) {
  if (head.is_http09()) return {};
  const HeaderList& headers = head.headers;
  if (!headers.Has(HeaderId::kHost)) {
    if (head.is_http11()) {
      return {kBadRequest, "client sent HTTP/1.1 request without \"Host\" header", {}};
    }
  } else if (headers.Count(HeaderId::kHost) > 1) {
    return {kBadRequest, "client sent duplicate host header", headers.Find(HeaderId::kHost)->name};
  }
  const HeadError error = CheckFields(head, framing);
  return error.status != 0 ? error : CheckMethod(head);
}

HeadError CheckFields(const RequestHead& head, const Framing& framing) {
  if (const Header* repeated = FirstRepeated(head.headers)) {
    return {kBadRequest, "client sent duplicate header line", repeated->name};
  }
  if (!framing.ok()) return {framing.status, framing.reason, {}};
  return {};
}

HeadError CheckMethod(const RequestHead& head) {
  if (head.method == Method::kConnect) return {kNotAllowed, "client sent CONNECT method", {}};
  if (head.method == Method::kTrace) return {kNotAllowed, "client sent TRACE method", {}};
  return {};
}

}  // namespace limpet::proto
