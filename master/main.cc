// limpet: sticky sessions in front of your servers, in nginx's configuration language.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "conf/syntax.h"
#include "master/control.h"
#include "master/master.h"
#include "master/process_title.h"
#include "master/standard_streams.h"
#include "master/upgrade.h"

namespace limpet::master {
namespace {

using Words = std::vector<std::string>;

int Serve(const CommandLine& command_line, const Words& argv, const Paths& paths,
          const EarlyLog& early) {
  Handover handover = Handover::FromEnvironment();
  auto config = LoadConfig(command_line, paths, early.Reporter());
  if (!config) return 1;
  return Master({command_line, argv, paths, early}, std::move(handover)).Run(std::move(config));
}

int WithConfig(const CommandLine& command_line, const Words& argv) {
  std::error_code ignored;
  const Paths paths = ResolvePaths(command_line, std::filesystem::current_path(ignored));
  if (command_line.order == Order::kControl) return AskMaster(command_line, paths);
  const bool quiet = command_line.order == Order::kUpgrade ||
                     (command_line.order == Order::kSignal && command_line.signal != SIGHUP);
  EarlyLog early(quiet ? "stderr" : paths.error_log);
  switch (command_line.order) {
    case Order::kTest:
    case Order::kTestAndDump:
      return TestConfig(command_line, paths, early);
    case Order::kSignal:
      early.ShowWarnings(false);
      return SendSignal(command_line, paths, early);
    case Order::kUpgrade:
      return Upgrade(command_line, paths, early);
    default:
      return Serve(command_line, argv, paths, early);
  }
}

// -V reads no file; what a test suite gives with -g it obeys.
bool NamesNginx(const std::string& global_directives) {
  const auto tree = conf::ParseText(global_directives, "command line");
  return tree && std::ranges::any_of(tree->directives, [](const conf::Directive& directive) {
           return directive.name == "compatible";
         });
}

int Main(const Words& argv) {
  std::vector<const char*> args;
  for (size_t i = 1; i < argv.size(); ++i) args.push_back(argv[i].c_str());
  const auto command_line = ParseCommandLine(args);
  if (!command_line) {
    fmt::print(stderr, "limpet: {}\n", command_line.error().message);
    return 1;
  }
  switch (command_line->said) {
    case Said::kNothing:
      return WithConfig(*command_line, argv);
    case Said::kHelp:
      fmt::print(stderr, "{}", HelpText());
      break;
    case Said::kVersion:
      fmt::print(stderr, "{}", VersionText());
      break;
    case Said::kVersionAndBuild:
      fmt::print(stderr, "{}", BuildText(NamesNginx(command_line->global_directives)));
      break;
  }
  const bool tests =
      command_line->order == Order::kTest || command_line->order == Order::kTestAndDump;
  return tests ? WithConfig(*command_line, argv) : 0;
}

}  // namespace
}  // namespace limpet::master

int main(int argc, char** argv) {
  limpet::master::FillStandardStreams();
  // The title is written over argv: keep the words.
  const std::vector<std::string> words(argv, argv + argc);
  limpet::master::PrepareProcessTitle(argc, argv);
  return limpet::master::Main(words);
}
