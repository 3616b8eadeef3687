// Names of shared memory of limits and TLS sessions: as in nginx a name is for one of these uses.
#pragma once

#include <string_view>

#include "conf/config.h"

namespace limpet::conf {

enum class ZoneUse : uint8_t { kLimitReq, kLimitConn, kTlsSessions };

// An error if the name has been given to a zone of another use.
Status CheckZoneUse(const Http& http, std::string_view name, ZoneUse use);

}  // namespace limpet::conf
