// split_clients KEY $name { }: a value by the share that a key's hash falls into.
#pragma once

#include "conf/directive.h"

namespace limpet::conf {

Status SplitClientsBlock(Block& block, const Directive& directive);

}  // namespace limpet::conf
