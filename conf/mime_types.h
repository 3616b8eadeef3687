// types { }
#pragma once

#include <memory>

#include "conf/directive.h"

namespace limpet::conf {

std::shared_ptr<const MimeTypes> DefaultMimeTypes();  // html, gif, jpg
Status TypesBlock(Block& block, const Directive& directive);

}  // namespace limpet::conf
