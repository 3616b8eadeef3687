// The commands of the command line that ask the running master: one row each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {

// What a command sends in the body of its call.
enum class CommandBody : uint8_t { kNone, kDrain, kRestore, kDown, kUp, kRebalance, kMove };

struct CommandRow {
  std::string_view name;
  // Words after it. SIZE_MAX: those beyond the least are NAME=VALUE of the query.
  size_t least, most;
  std::string_view method;
  std::string_view path;  // {0} and {1} are the words
  std::string_view args;  // of the query, in the same way; escaped
  CommandBody body;
  std::string_view words;  // as usage shows them
  std::string_view brief;  // of the list of all
  std::string_view help;   // of the command itself
};

std::span<const CommandRow> Commands();
const CommandRow* FindCommand(std::string_view name);  // null: there is none
inline bool Reads(const CommandRow& row) { return row.method == "GET"; }

// "usage: limpet drain UPSTREAM SERVER …"
std::string UsageOf(const CommandRow& row);
// What --help says of it.
std::string HelpOf(const CommandRow& row);

// The path, the query and the body (JSON; "": none) of a command's call.
struct CommandCall {
  std::string path, args, body;
};
struct CommandOptions {
  std::optional<std::string> deadline{};  // of drain; as the API takes it
  std::optional<int> move{};              // the same: sessions a second
  bool dry_run = false;                   // of rebalance
};
CommandCall CallOf(const CommandRow& row, std::span<const std::string> words,
                   const CommandOptions& options);

}  // namespace limpet::worker
