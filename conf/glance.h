// Where a running limpet is, found in its configuration without understanding the rest: for
// commands, which must work although the file is wrong elsewhere or a name server is away. Reads
// the main context and what it includes; no error is one, and nothing is resolved, opened or
// logged.
#pragma once

#include <string>

#include "conf/config.h"

namespace limpet::conf {

struct Places {  // absolute
  std::string pid;
  std::string control;  // the control socket; "" for "control_socket off"
};

Places Glance(const LoadOptions& options);

}  // namespace limpet::conf
