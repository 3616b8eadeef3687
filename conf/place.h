// Where errors that come after the load belong.
#pragma once

#include "base/result.h"
#include "conf/config.h"

namespace limpet::conf {

// `error` with the server's place, unless what it quotes leads to a line (WithPlace).
Error WithServersPlace(const Config& config, const Server& server, Error error);

}  // namespace limpet::conf
