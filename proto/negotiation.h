// Small judgements about request headers: accepted codings and entity tags.
#pragma once

#include <string_view>

namespace limpet::proto {

// Whether an Accept-Encoding value takes gzip (with q > 0), as nginx reads it.
bool AcceptsGzip(std::string_view accept_encoding);

enum class EtagCompare { kStrong, kWeak };  // RFC 9110 8.8.3.2
// Whether an If-Match or If-None-Match list ("*", or tags with commas) has this entity tag. "" is
// no tag: only * matches.
bool EtagListMatches(std::string_view list, std::string_view etag, EtagCompare compare);

}  // namespace limpet::proto
