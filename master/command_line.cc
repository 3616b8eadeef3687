#include "master/command_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <optional>

#include "base/text.h"
#include "conf/near_miss.h"
#include "conf/units.h"
#include "worker/control.h"

namespace limpet::master {
namespace {

struct SignalName {
  std::string_view name;
  int signal;
};
constexpr SignalName kSignals[] = {
    {"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};

std::optional<int> SignalNamed(std::string_view name) {
  for (const SignalName& row : kSignals) {
    if (row.name == name) return row.signal;
  }
  return std::nullopt;
}

// Options that take a value, in the same word or in the next one.
struct ValueOption {
  char letter;
  std::string CommandLine::*field;
  std::string_view missing;  // what nginx says when the value is not there
  bool may_be_empty = false;
};
constexpr ValueOption kValueOptions[] = {
    {'p', &CommandLine::prefix, "option \"-p\" requires directory name"},
    {'c', &CommandLine::file, "option \"-c\" requires file name"},
    {'e', &CommandLine::error_log, "option \"-e\" requires file name"},
    // Empty: a variable of a start script that is not set.
    {'g', &CommandLine::global_directives, "option \"-g\" requires parameter", true},
};

struct SayingOption {
  char letter;
  Said said;
};
constexpr SayingOption kSayingOptions[] = {
    {'?', Said::kHelp}, {'h', Said::kHelp}, {'v', Said::kVersion}, {'V', Said::kVersionAndBuild}};

constexpr std::string_view kUpgrade = "upgrade";  // a command that sends no question

Error UnknownCommand(std::string_view word) {
  if (SignalNamed(word)) {
    return InvalidArgument(
        fmt::format("unknown command \"{}\": it is a signal, write -s {}", word, word));
  }
  conf::NearMiss near(word);
  for (const std::string_view name : worker::CommandNames()) near.Offer(name);
  near.Offer(kUpgrade);
  const std::string hint = near.Hint();
  return InvalidArgument(fmt::format("unknown command \"{}\"{}", word,
                                     hint.empty() ? ": \"limpet -h\" lists them" : hint));
}

class Parser {
 public:
  explicit Parser(std::span<const char* const> args) : args_(args) {}

  Result<CommandLine> Parse() {
    for (next_ = 0; next_ < args_.size();) {
      const std::string_view word = args_[next_++];
      if (result_.order == Order::kControl || worker::IsCommand(word)) {
        if (auto status = CommandWord(word); !status) return status.error();
        continue;
      }
      if (word == kUpgrade) {
        result_.order = Order::kUpgrade;
        continue;
      }
      if (word == "--help" || word == "help") {
        result_.said = Said::kHelp;
        continue;
      }
      if (word == "--version") {
        result_.said = Said::kVersion;
        continue;
      }
      if (word == "--socket") {
        if (auto status = Socket(); !status) return status.error();
        continue;
      }
      if (!word.starts_with('-')) return UnknownCommand(word);
      if (word == "-" || word.starts_with("--"))
        return InvalidArgument(fmt::format("invalid option: \"{}\"", word));
      if (auto status = Letters(word.substr(1)); !status) return status.error();
    }
    // Whatever else was asked for: a test that is not made must not look like one that went well.
    if (tests_) result_.order = dumps_ ? Order::kTestAndDump : Order::kTest;
    return result_;
  }

 private:
  // Everything after a command is its own; "-x" may be part of a session's key.
  Status CommandWord(std::string_view word) {
    result_.order = Order::kControl;
    if (word == "--json") {
      result_.json = true;
      return {};
    }
    if (word == "--help") {
      result_.help = true;
      return {};
    }
    if (word == "--dry-run") {
      result_.dry_run = true;
      return {};
    }
    const size_t equals = word.find('=');
    const std::string_view option = word.substr(0, equals);
    const std::string_view rest = equals == word.npos ? "" : word.substr(equals + 1);
    if (option == "--socket") return Socket(rest);
    if (option == "--move") return Move(rest);
    if (option == "--deadline") return Deadline(rest);
    if (word == "-w" && worker::OnlyReads(result_.words[0])) return Watch();
    result_.words.emplace_back(word);
    return {};
  }

  Status Deadline(std::string_view rest) {
    const auto value = Value(rest);
    if (!value) return InvalidArgument("option \"--deadline\" requires a time");
    result_.deadline = conf::ParseDrainTime(*value);
    if (!result_.deadline) {
      return InvalidArgument(
          fmt::format("invalid time \"{}\": it is 90s, 30m or 1h30m, or 30m,keep", *value));
    }
    return {};
  }

  Status Move(std::string_view rest) {
    const auto value = Value(rest);
    if (!value) return InvalidArgument("option \"--move\" requires sessions a second");
    result_.move = conf::ParsePerSecond(*value);
    if (!result_.move)
      return InvalidArgument(fmt::format("invalid rate \"{}\": it is 1/s to 1000000/s", *value));
    return {};
  }

  Status Socket(std::string_view rest = {}) {
    const auto value = Value(rest);
    if (!value) return InvalidArgument("option \"--socket\" requires file name");
    result_.socket = *value;
    return {};
  }

  Status Watch() {
    constexpr uint64_t kLongest = 86400;
    const auto value = Value({});
    const auto seconds = value ? ParseDecimal(*value) : std::nullopt;
    if (!seconds || *seconds == 0 || *seconds > kLongest)
      return InvalidArgument("option \"-w\" requires seconds, 1 to 86400");
    result_.watch_s = static_cast<int>(*seconds);
    return {};
  }

  Status Letters(std::string_view letters) {
    while (!letters.empty()) {
      const char letter = letters[0];
      letters.remove_prefix(1);
      if (Plain(letter)) continue;
      return WithValue(letter, letters);  // the value is the rest of the word
    }
    return {};
  }

  bool Plain(char letter) {
    if (letter == 'q') return result_.quiet = true;
    if (letter == 't') return tests_ = true;
    if (letter == 'T') return tests_ = dumps_ = true;
    for (const SayingOption& row : kSayingOptions) {
      if (row.letter != letter) continue;
      result_.said = std::max(result_.said, row.said);
      return true;
    }
    return false;
  }

  Status WithValue(char letter, std::string_view rest) {
    if (letter == 's') return Signal(rest);
    for (const ValueOption& row : kValueOptions) {
      if (row.letter != letter) continue;
      const auto value = Value(rest, row.may_be_empty);
      if (!value) return InvalidArgument(std::string(row.missing));
      result_.*row.field = *value;
      return {};
    }
    return InvalidArgument(fmt::format("invalid option: \"{}\"", letter));
  }

  Status Signal(std::string_view rest) {
    const auto value = Value(rest);
    if (!value) return InvalidArgument("option \"-s\" requires parameter");
    if (*value == "upgrade") {
      result_.order = Order::kUpgrade;
      return {};
    }
    const auto signal = SignalNamed(*value);
    if (!signal) return InvalidArgument(fmt::format("invalid option: \"-s {}\"", *value));
    result_.order = Order::kSignal;
    result_.signal = *signal;
    return {};
  }

  std::optional<std::string> Value(std::string_view rest, bool may_be_empty = false) {
    if (!rest.empty()) return std::string(rest);
    if (next_ >= args_.size() || (*args_[next_] == '\0' && !may_be_empty)) return std::nullopt;
    return std::string(args_[next_++]);
  }

  std::span<const char* const> args_;
  size_t next_ = 0;
  bool tests_ = false;
  bool dumps_ = false;
  CommandLine result_;
};

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const char* const> args) {
  return Parser(args).Parse();
}

}  // namespace limpet::master
