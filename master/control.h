// The orders that end at once: test, dump, signal, and what asks the running master.
#pragma once

#include "master/error_logs.h"
#include "master/paths.h"

namespace limpet::master {

int TestConfig(const CommandLine& command_line, const Paths& paths, EarlyLog& early);
int AskMaster(const CommandLine& command_line, const Paths& paths, const EarlyLog& early);
int SendSignal(const CommandLine& command_line, const Paths& paths, const EarlyLog& early);

}  // namespace limpet::master
