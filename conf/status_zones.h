// The zones of status_zone.h as directives name them.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"

namespace limpet::conf {

// The zone of that kind and name, made at its first mention: its index in Http::status_zones. Only
// zones of servers and locations may have values: how many is for their directives to say.
int StatusZoneOf(Http& http, StatusZoneKind kind, std::string_view name, std::string declared_at);

// Once all of http is read: an error if nothing says how many values a zone has.
Status FinishStatusZones(Http& http);

}  // namespace limpet::conf
