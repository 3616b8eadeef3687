// What is done to a response head as a whole before anything reads it.
#pragma once

#include <cstddef>

#include "proto/http1/message.h"

namespace limpet::proto {

// Headers that have one value but came twice: the first counts and the others are dropped, as nginx
// does ("upstream sent duplicate header line …, ignored"). How many were dropped. Framing headers
// are not among them: ResponseFraming refuses those.
size_t DropRepeatedHeaders(ResponseHead* head);

}  // namespace limpet::proto
