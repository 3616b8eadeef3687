// Whether a stream of bytes is one HTTP/1 message after the other.
#pragma once

#include <string_view>

namespace limpet::fuzz {

// Of a client that asked for anything, HEAD included: bodies may be missing behind heads that name
// a length. The last message may have broken off in its body, never in its head.
bool AreResponses(std::string_view bytes);

// Of an upstream's connection; the last one may have broken off anywhere.
bool AreRequests(std::string_view bytes);

}  // namespace limpet::fuzz
