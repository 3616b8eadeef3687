// syslog:server=ADDRESS[,facility=][,severity=][,tag=][,nohostname]
#pragma once

#include <string_view>

#include "base/log.h"
#include "base/result.h"

namespace limpet::conf {

// "syslog:" included. `tag` is the one that lines have where none is given.
Result<SyslogSpec> ParseSyslog(std::string_view text, std::string_view tag);

}  // namespace limpet::conf
