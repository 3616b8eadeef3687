// Splits configuration text into words and the signs that end them, by nginx's rules. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet::conf {

// What ended the words read last.
enum class Ending : uint8_t { kSemicolon, kBlockStart, kBlockEnd, kEndOfText };

class Lexer {
 public:
  // `text` must outlive the lexer.
  explicit Lexer(std::string_view text) : text_(text) {}

  // Reads words up to the next sign. kBlockEnd and kEndOfText come without words. The error has no
  // file and line: the caller adds them from error_line().
  Result<Ending> Next(std::vector<std::string>* words);
  int line() const { return line_; }  // of the character read last, from 1
  // Where each word of the last Next() began.
  const std::vector<int>& word_lines() const { return word_lines_; }
  // Of the quote that is not closed, of the line before which a `;` must be missing, else line().
  int error_line() const { return error_line_ > 0 ? error_line_ : line_; }
  // The first word that looks like a pattern and was ended by a `{`, and its line; "" if there is
  // none. A quote is missing there, if braces do not match.
  const std::string& pattern_before_brace() const { return pattern_before_brace_; }
  int pattern_line() const { return pattern_line_; }

 private:
  Status SkipToWord(bool have_words, Ending* ending, bool* at_word);
  Status ReadBare(std::string* word);
  Status ReadQuoted(char quote, std::string* word);
  Status AfterQuoted();
  void Escape(std::string* word);
  char Take();
  void NotePattern(const std::string& word);
  Error MissingSemicolon(const std::string& what);

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  int error_line_ = 0;
  std::string pattern_before_brace_;
  int pattern_line_ = 0;
  std::vector<int> word_lines_;
};

}  // namespace limpet::conf
