// What the log says of an upstream's head that cannot be used, in nginx's words: operators look for
// them.
#pragma once

#include <string>
#include <string_view>

#include "proto/http1/message.h"

namespace limpet::worker {

// What the parser has refused.
std::string TellHeadFault(const proto::HeadError& error, const proto::ResponseHead& head);
// `reason` is that of a framing that is refused: with the lines that it is refused for.
std::string TellFramingFault(std::string_view reason, const proto::HeaderList& headers);

}  // namespace limpet::worker
