#include "proto/http1/response_rules.h"

namespace limpet::proto {

size_t DropRepeatedHeaders(ResponseHead* head) {
  return head->headers.KeepFirst(
      {HeaderId::kContentType, HeaderId::kDate, HeaderId::kEtag, HeaderId::kExpires,
       HeaderId::kLastModified, HeaderId::kLocation, HeaderId::kRefresh, HeaderId::kServer,
       HeaderId::kStatus, HeaderId::kXAccelBuffering, HeaderId::kXAccelCharset,
       HeaderId::kXAccelExpires, HeaderId::kXAccelLimitRate, HeaderId::kXAccelRedirect});
}

}  // namespace limpet::proto
