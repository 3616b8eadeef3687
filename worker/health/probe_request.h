// The request that a health check sends: the location's Host and constant headers, no body.
#pragma once

#include <string>

#include "base/log.h"
#include "conf/config.h"

namespace limpet::worker {

// Of the variables only $proxy_host and $proxy_port have a value: there is no client. A header
// whose value would end its line is left out, and `log` told. *failure says why a value could not
// be evaluated, as a detail for the log.
std::string ProbeRequest(const conf::Location& location, const conf::VariableTable& variables,
                         const Log& log, std::string* failure);

}  // namespace limpet::worker
