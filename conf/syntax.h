// The syntax tree of a configuration: what the lexer and parser make of the text, before any
// directive is understood.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace limpet::conf {

// Where a directive stood. `file` is the path as opened, or "command line" for the text of -g.
struct Position {
  std::string file;
  int line = 0;
};

struct Directive {
  std::string name;
  std::vector<std::string> args;  // unquoted and unescaped, nginx's rules
  std::vector<Directive> block;   // the directives between { and }; includes are already expanded
  bool has_block = false;
  Position at;             // of the terminating ; or {, as nginx counts
  std::vector<int> lines;  // where each word began: the name, then the arguments
};

struct SourceFile {
  std::string path;
  std::string text;
};

struct SyntaxTree {
  std::vector<Directive> directives;
  std::vector<SourceFile> files;  // in the order read, for -T
};

// `path`: as given or found under the prefix. Relative includes are taken from `conf_dir` (the
// folder of the main file); `global_directives` is the text of -g, parsed before the file.
Result<SyntaxTree> ParseFile(const std::string& path, const std::string& conf_dir,
                             const std::string& global_directives);
Result<SyntaxTree> ParseText(const std::string& text, const std::string& name);  // tests

}  // namespace limpet::conf
