// The JSON of the whole: what is wrong, all zones, certificates, the last hour.
#pragma once

#include "worker/status/json_parts.h"

namespace limpet::worker {

Json ProblemsJson(const StatusSource& source);  // now, the worst first
// Of sessions, limit_req and limit_conn: how full they are.
Json ZonesJson(const StatusSource& source);
Json CertificatesJson(const StatusSource& source);  // what ends first comes first
Json HourJson(const StatusSource& source);          // requests and answers 5xx of the last hour

Json UpstreamsThatLearnIn(const StatusSource& source, const ZoneRef& zone);

}  // namespace limpet::worker
