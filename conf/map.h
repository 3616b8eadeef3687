// map SOURCE $name { }: a value looked up by exact text, host name wildcards, then regular
// expressions.
#pragma once

#include "conf/directive.h"

namespace limpet::conf {

Status MapBlock(Block& block, const Directive& directive);

}  // namespace limpet::conf
