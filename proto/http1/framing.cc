#include "proto/http1/framing.h"

#include <limits>

#include "base/text.h"
#include "proto/status.h"

namespace limpet::proto {
namespace {

constexpr int kBadRequest = 400;
constexpr int kNotImplemented = 501;
constexpr int kBadGateway = 502;

Framing Refuse(int status, const char* reason) { return {.reason = reason, .status = status}; }

Framing Length(uint64_t length) {
  return {.length = length, .kind = length == 0 ? BodyKind::kNone : BodyKind::kLength};
}

Framing Just(BodyKind kind) { return {.kind = kind}; }

// Only "chunked" itself: a coding before it would have to be undone, one behind it hides the end
// (RFC 9112 6.1).
bool IsChunked(const HeaderList& headers) {
  return EqualsIgnoreCase(headers.Value(HeaderId::kTransferEncoding), "chunked");
}

}  // namespace

bool ParseContentLength(std::string_view value, uint64_t* length) {
  // "5, 5" and the same line twice could be repaired (RFC 9112 6.3); we refuse, as nginx does.
  const std::optional<uint64_t> parsed = ParseDecimal(value);
  if (!parsed || *parsed > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  *length = *parsed;
  return true;
}

Framing RequestFraming(const RequestHead& head) {
  const HeaderList& headers = head.headers;
  const bool has_te = headers.Has(HeaderId::kTransferEncoding);
  const bool has_cl = headers.Has(HeaderId::kContentLength);
  if (!has_te && !has_cl) return {};

  uint64_t length = 0;
  if (has_cl) {
    if (headers.Count(HeaderId::kContentLength) > 1) {
      return Refuse(kBadRequest, "client sent duplicate \"Content-Length\" header");
    }
    if (!ParseContentLength(headers.Value(HeaderId::kContentLength), &length)) {
      return Refuse(kBadRequest, "client sent invalid \"Content-Length\" header");
    }
  }
  if (!has_te) return Length(length);

  if (headers.Count(HeaderId::kTransferEncoding) > 1) {
    return Refuse(kBadRequest, "client sent duplicate \"Transfer-Encoding\" header");
  }
  if (!head.is_http11()) {
    return Refuse(kBadRequest, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header");
  }
  if (has_cl) {  // RFC 9112 6.3 lets a recipient drop one of them; we refuse: request smuggling
    return Refuse(
        kBadRequest,
        "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
  }
  if (!IsChunked(headers))
    return Refuse(kNotImplemented, "client sent unknown \"Transfer-Encoding\"");
  return Just(BodyKind::kChunked);
}

Framing ResponseFraming(Method request_method, const ResponseHead& head) {
  const HeaderList& headers = head.headers;
  const bool has_te = headers.Has(HeaderId::kTransferEncoding);
  const bool has_cl = headers.Has(HeaderId::kContentLength);

  // Wrong framing headers are refused even where no body can follow: they would be sent on to the
  // client.
  uint64_t length = 0;
  if (has_cl) {
    if (headers.Count(HeaderId::kContentLength) > 1) {
      return Refuse(kBadGateway, "upstream sent duplicate \"Content-Length\" header");
    }
    if (has_te) {
      return Refuse(
          kBadGateway,
          "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
    }
    if (!ParseContentLength(headers.Value(HeaderId::kContentLength), &length)) {
      return Refuse(kBadGateway, "upstream sent invalid \"Content-Length\" header");
    }
  }
  if (has_te && headers.Count(HeaderId::kTransferEncoding) > 1) {
    return Refuse(kBadGateway, "upstream sent duplicate \"Transfer-Encoding\" header");
  }
  if (has_te && !IsChunked(headers)) {
    return Refuse(kBadGateway, "upstream sent unknown \"Transfer-Encoding\"");
  }

  if (head.status == 101) return Just(BodyKind::kTunnel);
  if (request_method == Method::kConnect && head.status / 100 == 2) return Just(BodyKind::kTunnel);
  if (request_method == Method::kHead || StatusHasNoBody(head.status)) return {};
  if (has_te) return Just(BodyKind::kChunked);
  return has_cl ? Length(length) : Just(BodyKind::kUntilClose);
}

}  // namespace limpet::proto
