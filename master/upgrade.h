// `limpet -s upgrade`: changes the binary of the running limpet, step by step as an operator would:
// USR2, and when the new one serves, WINCH and QUIT to the old one. If the new one does not serve,
// the old one goes on.
#pragma once

#include "master/error_logs.h"
#include "master/paths.h"

namespace limpet::master {

int Upgrade(const CommandLine& command_line, const Paths& paths, const EarlyLog& early);

}  // namespace limpet::master
