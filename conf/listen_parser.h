// One listen line. A range of ports, or a name with several addresses, gives several.
#pragma once

#include <vector>

#include "conf/directive.h"

namespace limpet::conf {

Result<std::vector<Listen>> ParseListen(const Directive& directive);
Listen DefaultListen();  // of a server without a listen line: *:80, or *:8000 if not run by root

// Parts of a log format: literals and single variables, since escaping is per variable.
Result<std::vector<Template>> SplitLogFormat(std::string_view text, VariableTable& variables,
                                             std::string_view where);

}  // namespace limpet::conf
