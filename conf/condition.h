// The parenthesis of `if`.
#pragma once

#include "conf/directive.h"

namespace limpet::conf {

Status ParseCondition(Block& block, const Directive& directive, Condition* out);

}  // namespace limpet::conf
