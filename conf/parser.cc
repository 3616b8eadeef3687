// Builds the tree: blocks, include, and the list of files for -T.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/file_text.h"
#include "base/log.h"
#include "conf/foreign.h"
#include "conf/lexer.h"
#include "conf/source_files.h"
#include "conf/syntax.h"
#include "conf/unquoted.h"

namespace limpet::conf {
namespace {

// Deeper nesting is a mistake (or a file that includes itself) and would exhaust the stack.
constexpr int kMaxDepth = 100;

std::string Place(const Position& at) { return fmt::format(" in {}:{}", at.file, at.line); }

std::string MissingQuotes(const Lexer& lexer) {
  const std::string& word = lexer.pattern_before_brace();
  if (word.empty()) return "";
  return fmt::format("{} (line {})", UnquotedHint("{", word), lexer.pattern_line());
}

class Parser {
 public:
  explicit Parser(std::string conf_dir) : conf_dir_(std::move(conf_dir)) {}

  Status File(const std::string& path, std::vector<Directive>* out, int depth) {
    Result<std::string> text = ReadFile(path);
    if (!text) return text.error();
    if (seen_.insert(path).second) tree_.files.push_back({path, *text});
    return Text(*text, path, out, depth);
  }

  Status Text(std::string_view text, const std::string& name, std::vector<Directive>* out,
              int depth) {
    Lexer lexer(text);
    return Directives(lexer, name, out, depth, false);
  }

  SyntaxTree& tree() { return tree_; }

 private:
  Status Directives(Lexer& lexer, const std::string& file, std::vector<Directive>* out, int depth,
                    bool inside) {
    std::vector<std::string> words;
    for (;;) {
      Result<Ending> ending = lexer.Next(&words);
      const Position at{file, lexer.line()};
      if (!ending)
        return InvalidArgument(ending.error().message + Place({file, lexer.error_line()}));
      if (*ending == Ending::kBlockEnd) {
        if (inside) return {};
        return InvalidArgument("unexpected \"}\"" + Place(at));
      }
      if (*ending == Ending::kEndOfText) {
        if (!inside) return {};
        return InvalidArgument("unexpected end of file, expecting \"}\"" + MissingQuotes(lexer) +
                               Place(at));
      }
      if (Status s = One(lexer, at, words, *ending, out, depth); !s) return s;
    }
  }

  Status One(Lexer& lexer, const Position& at, std::vector<std::string>& words, Ending ending,
             std::vector<Directive>* out, int depth) {
    if (depth > kMaxDepth) return InvalidArgument("too many nested blocks or includes" + Place(at));
    if (words[0] == "include" && ending == Ending::kSemicolon)
      return Include(words, at, out, depth);
    Directive directive;
    directive.name = std::move(words[0]);
    directive.args.assign(std::make_move_iterator(words.begin() + 1),
                          std::make_move_iterator(words.end()));
    directive.at = at;
    directive.lines = lexer.word_lines();
    directive.has_block = ending == Ending::kBlockStart;
    if (directive.has_block) {
      // Its text is of another language: the parser would find its faults before anybody else.
      if (const Foreign* foreign = FindForeign(directive.name); foreign && foreign->is_code)
        return InvalidArgument(WhyForeign(*foreign, directive) + Place(at));
      if (Status s = Directives(lexer, at.file, &directive.block, depth + 1, true); !s) return s;
    }
    out->push_back(std::move(directive));
    return {};
  }

  Status Include(const std::vector<std::string>& words, const Position& at,
                 std::vector<Directive>* out, int depth) {
    if (words.size() != 2) {
      return InvalidArgument("invalid number of arguments in \"include\" directive" + Place(at));
    }
    const std::string path = words[1].starts_with('/') ? words[1] : conf_dir_ + words[1];
    if (!HasWildcard(path)) return Included(path, at, out, depth);
    for (const std::string& found : Expand(path)) {
      if (Status s = Included(found, at, out, depth); !s) return s;
    }
    return {};
  }

  // An unreadable file is the fault of the include line; errors inside the file have their own
  // place already.
  Status Included(const std::string& path, const Position& at, std::vector<Directive>* out,
                  int depth) {
    if (access(path.c_str(), R_OK) != 0) {
      return InvalidArgument(fmt::format("open() \"{}\" failed{}", path, ErrnoText(errno)) +
                             Place(at));
    }
    return File(path, out, depth + 1);
  }

  std::string conf_dir_;
  SyntaxTree tree_;
  std::set<std::string> seen_;
};

}  // namespace

Result<SyntaxTree> ParseFile(const std::string& path, const std::string& conf_dir,
                             const std::string& global_directives) {
  Parser parser(conf_dir);
  std::vector<Directive> all;
  if (Status s = parser.Text(global_directives, "command line", &all, 0); !s) return s.error();
  if (Status s = parser.File(path, &all, 0); !s) return s.error();
  parser.tree().directives = std::move(all);
  return std::move(parser.tree());
}

Result<SyntaxTree> ParseText(const std::string& text, const std::string& name) {
  Parser parser("");
  std::vector<Directive> all;
  if (Status s = parser.Text(text, name, &all, 0); !s) return s.error();
  parser.tree().directives = std::move(all);
  parser.tree().files.push_back({name, text});
  return std::move(parser.tree());
}

}  // namespace limpet::conf
