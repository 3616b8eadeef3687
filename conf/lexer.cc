#include "conf/lexer.h"

#include <fmt/core.h>

#include "conf/unquoted.h"

namespace limpet::conf {
namespace {

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

Error Unexpected(char c) { return InvalidArgument(fmt::format("unexpected \"{}\"", c)); }

constexpr std::string_view kUnexpectedEnd = "unexpected end of file, expecting \";\" or \"}\"";

Error UnexpectedEnd() { return InvalidArgument(std::string(kUnexpectedEnd)); }

}  // namespace

char Lexer::Take() {
  const char c = text_[at_++];
  if (c == '\n') ++line_;
  return c;
}

// A sign that may not follow words: they lack their `;`. The error is where the last of them is.
Error Lexer::MissingSemicolon(const std::string& what) {
  error_line_ = word_lines_.back();
  return InvalidArgument(what + ": a \";\" is missing");
}

// A backslash before a quote or a backslash stands for that character, before t, r or n for the
// control character; before anything else it stays, as regular expressions need it.
void Lexer::Escape(std::string* word) {
  if (at_ == text_.size()) {
    word->push_back('\\');
    return;
  }
  const char c = Take();
  switch (c) {
    case '"':
    case '\'':
    case '\\':
      word->push_back(c);
      return;
    case 't':
      word->push_back('\t');
      return;
    case 'r':
      word->push_back('\r');
      return;
    case 'n':
      word->push_back('\n');
      return;
    default:
      word->push_back('\\');
      word->push_back(c);
  }
}

// Blanks, comments, and the signs that can stand where a word could begin.
Status Lexer::SkipToWord(bool have_words, Ending* ending, bool* at_word) {
  *at_word = false;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (IsBlank(c)) {
      Take();
    } else if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == ';' || c == '{') {
      if (!have_words) return Unexpected(c);
      Take();
      *ending = c == ';' ? Ending::kSemicolon : Ending::kBlockStart;
      return {};
    } else if (c == '}') {
      if (have_words) return MissingSemicolon(Unexpected(c).message);
      Take();
      *ending = Ending::kBlockEnd;
      return {};
    } else {
      *at_word = true;
      return {};
    }
  }
  if (have_words) return MissingSemicolon(std::string(kUnexpectedEnd));
  *ending = Ending::kEndOfText;
  return {};
}

void Lexer::NotePattern(const std::string& word) {
  if (!pattern_before_brace_.empty() || !LooksLikePattern(word)) return;
  pattern_before_brace_ = word;
  pattern_line_ = line_;
}

// Ends before a blank, `;` or `{`; but the brace of `${name}` belongs to the word.
Status Lexer::ReadBare(std::string* word) {
  bool after_dollar = false;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '{' && !after_dollar) NotePattern(*word);
    if (IsBlank(c) || c == ';' || (c == '{' && !after_dollar)) return {};
    Take();
    after_dollar = c == '$';
    if (c == '\\') {
      Escape(word);
    } else {
      word->push_back(c);
    }
  }
  return UnexpectedEnd();
}

Status Lexer::ReadQuoted(char quote, std::string* word) {
  const int began = line_;
  Take();
  while (at_ < text_.size()) {
    const char c = Take();
    if (c == quote) return AfterQuoted();
    if (c == '\\') {
      Escape(word);
    } else {
      word->push_back(c);
    }
  }
  error_line_ = began;
  return InvalidArgument(fmt::format("{}: the {} that begins here is not closed", kUnexpectedEnd,
                                     quote == '"' ? "double quote" : "quote"));
}

// A quoted word must be followed by a blank, a sign, or the parenthesis of `if ($x = "y")`.
Status Lexer::AfterQuoted() {
  if (at_ == text_.size()) return UnexpectedEnd();
  const char c = text_[at_];
  if (IsBlank(c) || c == ';' || c == '{' || c == ')') return {};
  return Unexpected(c);
}

Result<Ending> Lexer::Next(std::vector<std::string>* words) {
  words->clear();
  word_lines_.clear();
  for (;;) {
    Ending ending{};
    bool at_word = false;
    if (Status s = SkipToWord(!words->empty(), &ending, &at_word); !s) return s.error();
    if (!at_word) return ending;
    word_lines_.push_back(line_);
    std::string word;
    const char c = text_[at_];
    if (Status s = c == '"' || c == '\'' ? ReadQuoted(c, &word) : ReadBare(&word); !s)
      return s.error();
    words->push_back(std::move(word));
  }
}

}  // namespace limpet::conf
