// Responses for a status code: the location's error_page, or a short page of our own.
#pragma once

#include <string_view>

#include "conf/response.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// Goes where error_page says. False if the location has none for this status, or one has been taken
// already.
bool TakeErrorPage(Exchange& exchange, int status);

// Answers with the status and a built-in page; redirects carry response().location.
void ReplyWithErrorPage(Exchange& exchange, int status);

// Copies WWW-Authenticate challenges to the response, whose page may take the place of the answer
// that they came with.
void CopyChallenges(Exchange& exchange, const proto::HeaderList& from);

// The Server field and the name at the foot of pages.
std::string_view ServerToken(Exchange& exchange);

}  // namespace limpet::worker
