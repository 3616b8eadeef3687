// Responses for a status code: the location's error_page, or a short page of our own. What the
// exchange asks is in hooks.h.
#pragma once

#include "proto/headers.h"

namespace limpet::worker {

class Exchange;

// Copies WWW-Authenticate challenges to the response, whose page may take the place of the answer
// that they came with.
void CopyChallenges(Exchange& exchange, const proto::HeaderList& from);

}  // namespace limpet::worker
