#include "conf/unquoted.h"

#include <fmt/core.h>

namespace limpet::conf {
namespace {

// True if a `[` or `(` of the word has no end. A backslash takes the next character's meaning away.
bool IsOpen(std::string_view word) {
  int groups = 0;
  bool in_class = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if (c == '\\') {
      ++i;
    } else if (in_class) {
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
    } else if (c == '(') {
      ++groups;
    } else if (c == ')') {
      --groups;
    }
  }
  return in_class || groups > 0;
}

}  // namespace

bool LooksLikePattern(std::string_view word) {
  return word.find_first_of("[(^\\") != std::string_view::npos || word.starts_with('~');
}

std::string UnquotedHint(std::string_view sign, std::string_view word) {
  return fmt::format(
      ": the \"{}\" ends \"{}\", a pattern with \";\", \"{{\" or a blank needs quotes", sign, word);
}

std::string UnquotedHint(const Directive& directive) {
  const std::string& last = directive.args.empty() ? directive.name : directive.args.back();
  return IsOpen(last) ? UnquotedHint(directive.has_block ? "{" : ";", last) : "";
}

}  // namespace limpet::conf
