// syslog:server=ADDRESS[,facility=][,severity=][,tag=][,nohostname]
#pragma once

#include <string_view>

#include "base/log.h"
#include "base/result.h"

namespace limpet::conf {

Result<SyslogSpec> ParseSyslog(std::string_view text);  // "syslog:" included

}  // namespace limpet::conf
