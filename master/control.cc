#include "master/control.h"

#include <fmt/core.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>

#include "master/generation.h"
#include "master/pid_file.h"

namespace limpet::master {
namespace {

void DumpSources(const conf::Config& config) {
  for (const conf::SourceFile& source : config.sources) {
    fmt::print("# configuration file {}:\n{}\n", source.path, source.text);
  }
  std::fflush(stdout);
}

void ShowZones(const conf::Config& config) {
  if (!config.http) return;
  for (const conf::SessionZone& zone : config.http->session_zones) {
    fmt::print(stderr, "limpet: session zone \"{}\" of {} bytes holds {} sessions\n", zone.name,
               zone.size, shm::SessionTable::CapacityFor(zone.size));
  }
}

}  // namespace

int TestConfig(const CommandLine& command_line, const Paths& paths, EarlyLog& early) {
  const auto config = LoadConfig(command_line, paths, early.Reporter());
  Status checked;
  if (config) checked = Generation::Check(*config, paths);
  if (!checked) early.Report(LogLevel::kEmerg, checked.error().message);
  if (!config || !checked) {
    fmt::print(stderr, "limpet: configuration file {} test failed\n", paths.file);
    return 1;
  }
  if (!command_line.quiet) {
    fmt::print(stderr, "limpet: the configuration file {} syntax is ok\n", paths.file);
    ShowZones(*config);
    fmt::print(stderr, "limpet: configuration file {} test is successful\n", paths.file);
  }
  if (command_line.order == Order::kTestAndDump) DumpSources(*config);
  return 0;
}

int SendSignal(const CommandLine& command_line, const Paths& paths, const EarlyLog& early) {
  const auto config = LoadConfig(command_line, paths, early.Reporter());
  if (!config) return 1;
  const auto pid = ReadPidFile(config->pid_path);
  if (!pid) {
    early.Report(LogLevel::kError, pid.error().message);
    return 1;
  }
  if (::kill(*pid, command_line.signal) == 0) return 0;
  early.Report(LogLevel::kAlert,
               fmt::format("kill({}, {}) failed{}", *pid, command_line.signal, ErrnoText(errno)));
  return 1;
}

}  // namespace limpet::master
