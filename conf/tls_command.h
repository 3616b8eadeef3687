// ssl_conf_command and proxy_ssl_conf_command.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "conf/directive.h"

namespace limpet::conf {

using TlsCommands = std::vector<std::pair<std::string, std::string>>;

// Adds NAME VALUE; the first in a block replaces what was inherited. File names are made absolute,
// as those of all TLS directives.
Status AddTlsCommand(Block& block, const Directive& directive, TlsCommands& commands);

}  // namespace limpet::conf
