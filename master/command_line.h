// The command line: nginx's options, understood without touching the system.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/units.h"

namespace limpet::master {

enum class Order : uint8_t { kServe, kTest, kTestAndDump, kSignal, kUpgrade, kControl };

enum class Said : uint8_t { kNothing, kVersion, kVersionAndBuild, kHelp };

struct CommandLine {
  Order order = Order::kServe;
  Said said = Said::kNothing;     // -v, -V, -h: comes first, then only a test goes on
  bool quiet = false;             // -q: under -t, only errors are shown
  std::string prefix;             // -p, as given; empty: the default
  std::string file;               // -c, as given; empty: the default
  std::string error_log;          // -e, as given; empty: the default
  std::string global_directives;  // -g
  int signal = 0;                 // -s: what to send to the running master
  // Words without a dash ask the running master: {"drain", "app", "10.0.0.1:80"}.
  std::vector<std::string> words;
  std::optional<conf::DrainTime> deadline;  // --deadline
  std::optional<int> move;                  // --move: sessions a second
  bool dry_run = false;                     // --dry-run
  bool json = false;                        // --json
  bool help = false;                        // --help, of the command
  int watch_s = 0;                          // -w: asks again, so many seconds apart; 0: once
  std::string socket;                       // --socket: of the master that is asked
};

// `args`: without the program's name. The error's message is what nginx would say: `invalid option:
// "x"`.
Result<CommandLine> ParseCommandLine(std::span<const char* const> args);

std::string HelpText();
std::string VersionText();  // -v; ends in a newline
// -V. For a configuration with `compatible nginx;` also what nginx says there, which test suites
// look for.
std::string BuildText(bool compatible);

}  // namespace limpet::master
