// A string with variables, compiled once at load: `$name`, `${name}`, and `$1` … `$9` of the last
// match.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/variables.h"

namespace limpet::conf {

class Template {
 public:
  Template() = default;  // the empty string
  static Template Literal(std::string text);
  // `where` is "FILE:LINE". Captures are allowed where the directive follows a match (map values,
  // rewrite, return, …).
  static Result<Template> Compile(std::string_view text, VariableTable& variables,
                                  std::string_view where);

  // The variable alone, whatever its name is made of.
  static Template OfVariable(VariableId id);

  bool is_constant() const { return parts_.empty(); }
  bool empty() const { return parts_.empty() && literal_.empty(); }
  std::string_view constant() const { return literal_; }  // of a constant one
  bool is_single_variable() const {
    return parts_.size() == 1 && parts_[0].kind == Part::kVariable;
  }

  // Only if is_single_variable().
  VariableId single_variable() const { return parts_[0].number; }

  // The value. A constant and a single variable are views; anything else is put together in
  // reader.Allocate.
  std::string_view Evaluate(VariableReader& reader) const;
  const std::string& source() const { return source_; }

 private:
  struct Part {
    enum Kind : uint8_t { kLiteral, kVariable, kCapture } kind;
    uint16_t number;  // variable id or group
    std::string text;
  };
  std::string source_;
  std::string literal_;
  std::vector<Part> parts_;  // empty if constant
};

// A cookie's variable in `text` that cannot have been meant to end where it does: "$cookie_a.sid"
// is $cookie_a with ".sid" behind it. "" if there is none.
std::string_view MisreadCookie(std::string_view text);

}  // namespace limpet::conf
