// A pattern that lacks its quotes: `;`, `{` and blanks end a bare word, and what is left of it says
// little. Hints for the errors that follow.
#pragma once

#include <string>
#include <string_view>

#include "conf/syntax.h"

namespace limpet::conf {

// Whether a bare word in front of `{` is more likely the begin of a pattern than a block's word.
bool LooksLikePattern(std::string_view word);

// `: the ";" ends "~id=([^", a pattern with ";", "{" or a blank needs quotes`.
std::string UnquotedHint(std::string_view sign, std::string_view word);

// The same for the last word of a directive, if it has a bracket that is not closed; else "".
std::string UnquotedHint(const Directive& directive);

}  // namespace limpet::conf
