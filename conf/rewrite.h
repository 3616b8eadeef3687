// set, if, return, rewrite, break: compiled to steps that worker/http runs at server and location
// level.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conf/regex.h"
#include "conf/template.h"

namespace limpet::conf {

struct Location;

struct Condition {
  enum class Kind : uint8_t {
    kTrue,
    kEqual,
    kNotEqual,
    kMatch,
    kNotMatch,
    kFile,
    kNotFile,
    kDirectory,
    kNotDirectory,
    kExists,
    kNotExists,
    kExecutable,
    kNotExecutable
  };
  Kind kind = Kind::kTrue;
  Template subject;  // the variable, or the path of a file test
  Template operand;  // of = and !=
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;  // ids of regex->named_groups(), in their order
};

struct Return {
  int status = 0;
  Template text;  // a body, or the URL of a redirect
};

struct RewriteStep {
  enum class Kind : uint8_t { kSet, kIf, kReturn, kBreak, kRewrite };
  enum class Flag : uint8_t { kNone, kLast, kBreak, kRedirect, kPermanent };
  Kind kind = Kind::kBreak;
  // kSet
  VariableId variable = 0;
  Template value;  // kSet: the value; kRewrite: the replacement up to its first `?`
  Template args;   // kRewrite: what stands behind that `?` (not a final, lone one)
  // kReturn
  Return reply;
  // kIf: if the condition holds, `then` runs, and `location` (location level only) takes the place
  // of the current one
  Condition condition;
  std::vector<RewriteStep> then;
  const Location* location = nullptr;
  // kRewrite
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  Flag flag = Flag::kNone;
  bool is_absolute = false;  // the replacement begins with http://, https:// or $scheme: a redirect
  bool has_args = false;     // the replacement has a `?`: the part behind it is new arguments
  bool drops_args = false;   // it ends in `?`: the request's own arguments are not appended
};

using RewriteScript = std::vector<RewriteStep>;

}  // namespace limpet::conf
