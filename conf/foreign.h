// Directives of other servers' modules and of protocols that are not spoken here: one table that
// says of each which area it is of, or what to write instead. What has a row is not in it.
#pragma once

#include <string>
#include <string_view>

#include "conf/syntax.h"

namespace limpet::conf {

struct Foreign {
  std::string_view name;  // an ending * stands for any end, a leading * for any beginning
  std::string_view area;  // "limpet proxies HTTP only: FastCGI is left out"
  std::string (*instead)(const Directive&) = nullptr;  // the line to write
  bool is_code = false;                                // its block is a program, not directives
};

// Null: nobody knows such a directive.
const Foreign* FindForeign(std::string_view name);

// "": nobody knows such a variable.
std::string_view AreaOfForeignVariable(std::string_view name);

// The message of the error: `"stream" is not understood: limpet proxies HTTP only`.
std::string WhyForeign(const Foreign& foreign, const Directive& directive);

// `sticky` in the words of modules of old: "" if it is none, else the line to write.
std::string StickyInstead(const Directive& directive);

}  // namespace limpet::conf
