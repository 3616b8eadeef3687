// The orders that end at once: test, dump, signal, and what asks the running master.
#pragma once

#include <sys/types.h>

#include <string>

#include "master/error_logs.h"
#include "master/paths.h"

namespace limpet::master {

int TestConfig(const CommandLine& command_line, const Paths& paths, EarlyLog& early);
int AskMaster(const CommandLine& command_line, const Paths& paths);
// Before it reloads, the configuration is checked, as whoever asks for it wants to know. All else
// needs the pid file and nothing more.
int SendSignal(const CommandLine& command_line, const Paths& paths, const EarlyLog& early);

// Whether the master that answers at this socket is that process, and has workers.
bool HasWorkers(const std::string& socket, pid_t master);

}  // namespace limpet::master
