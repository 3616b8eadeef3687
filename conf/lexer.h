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
  // file and line: the caller adds them from line().
  Result<Ending> Next(std::vector<std::string>* words);
  int line() const { return line_; }  // of the character read last, from 1

 private:
  Status SkipToWord(bool have_words, Ending* ending, bool* at_word);
  Status ReadBare(std::string* word);
  Status ReadQuoted(char quote, std::string* word);
  Status AfterQuoted();
  void Escape(std::string* word);
  char Take();

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace limpet::conf
