// Keys that are to tell requests apart.
#pragma once

#include "conf/loader.h"
#include "conf/setting.h"

namespace limpet::conf {

// Compiles the key; one without a variable is noticed, as `hash remote_addr` is easily written for
// `hash $remote_addr`. Who writes "" wants a constant.
inline Status CompileKey(Block& b, const Directive& d, const std::string& text, Template& out) {
  if (Status s = Strings{}(b, d, text, out); !s || text.empty() || !out.is_constant()) return s;
  b.loader.Notice(d, fmt::format("the key \"{}\" of \"{}\" has no variable: it is the same for all "
                                 "requests",
                                 text, d.name));
  return {};
}

}  // namespace limpet::conf
