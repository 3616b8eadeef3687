#include "master/process_title.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace limpet::master {
namespace {

// A process has one title, so this state is the process's own.
char* g_title = nullptr;
size_t g_title_size = 0;

char* EndOf(char* text) { return text + std::strlen(text) + 1; }

}  // namespace

void PrepareProcessTitle(int argc, char** argv) {
  if (argc < 1) return;
  char* end = argv[0];
  for (int i = 0; i < argc; ++i) {
    if (end == argv[i]) end = EndOf(argv[i]);
  }
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (end == *entry) end = EndOf(*entry);
    variables.emplace_back(*entry);
  }
  ::clearenv();
  for (const std::string& variable : variables) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  g_title = argv[0];
  g_title_size = static_cast<size_t>(end - argv[0]);
}

void SetProcessTitle(std::string_view title) {
  if (g_title_size == 0) return;
  const std::string text = fmt::format("limpet: {}", title);
  const size_t size = std::min(text.size(), g_title_size - 1);
  std::memcpy(g_title, text.data(), size);
  std::memset(g_title + size, 0, g_title_size - size);
}

}  // namespace limpet::master
