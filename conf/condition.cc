#include "conf/condition.h"

#include <fmt/core.h>

#include <array>

#include "conf/setting.h"

namespace limpet::conf {
namespace {

using Kind = Condition::Kind;

struct Operator {
  std::string_view text;
  Kind kind;
  bool is_regex = false;
  bool ignore_case = false;
};
constexpr std::array kOperators = std::to_array<Operator>({
    {"=", Kind::kEqual},
    {"!=", Kind::kNotEqual},
    {"~", Kind::kMatch, true},
    {"~*", Kind::kMatch, true, true},
    {"!~", Kind::kNotMatch, true},
    {"!~*", Kind::kNotMatch, true, true},
});
constexpr std::array kTests = std::to_array<Choice<Kind>>({
    {"-f", Kind::kFile},
    {"!-f", Kind::kNotFile},
    {"-d", Kind::kDirectory},
    {"!-d", Kind::kNotDirectory},
    {"-e", Kind::kExists},
    {"!-e", Kind::kNotExists},
    {"-x", Kind::kExecutable},
    {"!-x", Kind::kNotExecutable},
});

Error Invalid(const std::string& word) {
  return InvalidArgument(fmt::format("invalid condition \"{}\"", word));
}

// The words without the parentheses, which may stand alone or at a word.
Result<std::vector<std::string>> StripParentheses(std::vector<std::string> words) {
  if (!words.front().starts_with('(')) return Invalid(words.front());
  if (words.front().size() == 1) {
    words.erase(words.begin());
  } else {
    words.front().erase(0, 1);
  }
  if (words.empty()) return Invalid("(");
  if (!words.back().ends_with(')')) return Invalid(words.back());
  if (words.back().size() == 1) {
    words.pop_back();
  } else {
    words.back().pop_back();
  }
  if (words.empty()) return Invalid(")");
  return words;
}

Status Compare(Block& b, const Directive& d, const std::vector<std::string>& words,
               Condition* out) {
  for (const Operator& op : kOperators) {
    if (op.text != words[1]) continue;
    out->kind = op.kind;
    if (!op.is_regex) return Strings{}(b, d, words[2], out->operand);
    auto regex = CompileRegex(b, d, words[2], op.ignore_case, &out->named);
    if (!regex) return regex.error();
    out->regex = std::move(*regex);
    return {};
  }
  return InvalidArgument(fmt::format("unexpected \"{}\" in condition", words[1]));
}

Status FileTest(Block& b, const Directive& d, const std::vector<std::string>& words,
                Condition* out) {
  if (words.size() != 2) return Invalid(words[0]);
  if (!OneOf<kTests, false>{}(b, d, words[0], out->kind)) return Invalid(words[0]);
  return Strings{}(b, d, words[1], out->subject);
}

}  // namespace

Status ParseCondition(Block& b, const Directive& d, Condition* out) {
  const Result<std::vector<std::string>> words = StripParentheses(d.args);
  if (!words) return words.error();
  const std::string& first = words->front();
  if (first.size() > 1 && first.starts_with('$')) {
    if (words->size() != 1 && words->size() != 3) return Invalid(first);
    if (first.size() == 2 && IsDigit(first[1])) {
      if (Status s = Strings{}(b, d, first, out->subject); !s) return s;
    } else {  // named by the rest of the word, dashes and dots included: $arg_return-url
      out->subject = Template::OfVariable(b.http->variables.Mention(first.substr(1), Where(d)));
    }
    return words->size() == 1 ? Status{} : Compare(b, d, *words, out);
  }
  const bool is_test =
      (first.size() == 2 && first[0] == '-') || (first.size() == 3 && first.starts_with("!-"));
  return is_test ? FileTest(b, d, *words, out) : Invalid(first);
}

}  // namespace limpet::conf
