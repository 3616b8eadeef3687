// geo [$ADDRESS] $name { }: a value looked up by address.
#pragma once

#include "conf/directive.h"

namespace limpet::conf {

Status GeoBlock(Block& block, const Directive& directive);

}  // namespace limpet::conf
