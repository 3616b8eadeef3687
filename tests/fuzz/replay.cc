// Runs a fuzz target over files: fuzz_replay TARGET (FILE|FOLDER)… . The file that is being run is
// the last one named when it ends before it says how many there were.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace limpet::fuzz {
namespace {

const Target* targets = nullptr;

const Target* Find(std::string_view name) {
  const Target* target = targets;
  while (target != nullptr && target->name != name) target = target->next;
  return target;
}

std::vector<std::string> FilesAt(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::exists(path)) return {};
  if (!fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  return files;
}

void RunFile(const Target& target, const std::string& path) {
  std::fprintf(stderr, "%s\n", path.c_str());
  std::ifstream file(path, std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  target.function(input);
}

int Replay(const Target& target, const std::vector<std::string>& paths) {
  size_t count = 0;
  target.function("");
  for (const std::string& path : paths) {
    for (const std::string& file : FilesAt(path)) {
      RunFile(target, file);
      ++count;
    }
  }
  std::fprintf(stderr, "%s: %zu inputs\n", target.name, count);
  return count == 0 ? 1 : 0;
}

}  // namespace

Target::Target(const char* target_name, Function target_function)
    : name(target_name), function(target_function), next(targets) {
  targets = this;
}

}  // namespace limpet::fuzz

int main(int argc, char** argv) {
  const limpet::fuzz::Target* target = argc > 1 ? limpet::fuzz::Find(argv[1]) : nullptr;
  if (target == nullptr) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET (FILE|FOLDER)...\n");
    return 2;
  }
  return limpet::fuzz::Replay(*target, {argv + 2, argv + argc});
}
