// The workers' other entry point: what the master answers on its control socket, and what the
// command line makes of it. No event loop is involved; everything is read from and written to
// shared memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/units.h"
#include "worker/worker.h"

namespace limpet::worker {

// The line of JSON that answers a line of JSON (worker/status/control.h). `environment`: of the
// generation that serves; its slot, number and sockets do not matter.
std::string AnswerControl(const Environment& environment, std::string_view line);

// The words that ask the running master, in the order in which help shows them.
bool IsCommand(std::string_view word);
std::vector<std::string_view> CommandNames();
std::string CommandList();                       // a line each
std::string CommandHelp(std::string_view name);  // what --help says of it
bool OnlyReads(std::string_view name);           // it may be asked again and again

struct ControlCommand {
  std::vector<std::string> words;           // {"drain", "app", "10.0.0.1:80"}
  std::optional<conf::DrainTime> deadline;  // --deadline
  std::optional<int> move;                  // --move
  bool dry_run = false;                     // --dry-run
  bool json = false;                        // --json: the reply as it comes
};

// The line to send; an error says how the command is used.
Result<std::string> ControlLine(const ControlCommand& command);

struct ControlOutput {
  bool good = false;
  std::string text;
};
// A reply as a person reads it: a table; or what is wrong, without a newline.
ControlOutput ShowReply(const ControlCommand& command, std::string_view reply);

}  // namespace limpet::worker
