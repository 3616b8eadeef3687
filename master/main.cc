// limpet: sticky sessions in front of your servers, in nginx's configuration language.
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "master/control.h"
#include "master/master.h"
#include "master/process_title.h"
#include "master/standard_streams.h"

namespace limpet::master {
namespace {

int Serve(const CommandLine& command_line, const Paths& paths, const EarlyLog& early) {
  auto config = LoadConfig(command_line, paths, early.Reporter());
  if (!config) return 1;
  return Master(command_line, paths, early).Run(std::move(config));
}

int WithConfig(const CommandLine& command_line) {
  std::error_code ignored;
  const Paths paths = ResolvePaths(command_line, std::filesystem::current_path(ignored));
  EarlyLog early(paths.error_log);
  switch (command_line.order) {
    case Order::kTest:
    case Order::kTestAndDump:
      early.ShowWarnings(!command_line.quiet);
      return TestConfig(command_line, paths, early);
    case Order::kSignal:
      early.ShowWarnings(false);
      return SendSignal(command_line, paths, early);
    default:
      return Serve(command_line, paths, early);
  }
}

int Main(std::span<const char* const> args) {
  const auto command_line = ParseCommandLine(args);
  if (!command_line) {
    fmt::print(stderr, "limpet: {}\n", command_line.error().message);
    return 1;
  }
  switch (command_line->order) {
    case Order::kHelp:
      fmt::print(stderr, "{}", HelpText());
      return 0;
    case Order::kVersion:
      fmt::print(stderr, "{}", VersionText());
      return 0;
    case Order::kVersionAndBuild:
      fmt::print(stderr, "{}", BuildText());
      return 0;
    default:
      return WithConfig(*command_line);
  }
}

}  // namespace
}  // namespace limpet::master

int main(int argc, char** argv) {
  limpet::master::FillStandardStreams();
  limpet::master::PrepareProcessTitle(argc, argv);
  // The title is written over argv: keep the words.
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  std::vector<const char*> args;
  for (const std::string& word : words) args.push_back(word.c_str());
  return limpet::master::Main(args);
}
