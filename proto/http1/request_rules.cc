#include "proto/http1/request_rules.h"

#include <array>

namespace limpet::proto {
namespace {

constexpr int kBadRequest = 400;
constexpr int kNotAllowed = 405;

// Headers whose second line contradicts the first; nginx refuses the request. Host and the framing
// headers have messages of their own.
constexpr std::array kUnique = {
    HeaderId::kIfModifiedSince, HeaderId::kIfUnmodifiedSince, HeaderId::kIfMatch,
    HeaderId::kIfNoneMatch,     HeaderId::kContentRange,      HeaderId::kIfRange,
    HeaderId::kExpect,          HeaderId::kAuthorization,     HeaderId::kProxyAuthorization};

const Header* FirstRepeated(const HeaderList& headers) {
  for (const HeaderId id : kUnique) {
    if (headers.Has(id) && headers.Count(id) > 1) return headers.Find(id);
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
