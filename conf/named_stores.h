// session_store blocks by name. Zones of `sticky learn` name them before they are read: upstreams
// come first.
#pragma once

#include <string>

#include "conf/directive.h"

namespace limpet::conf {

// The store's place, made if nobody has named it before. One without a block has no declared_at.
SessionStore& FindOrAddStore(Http& http, const std::string& name);

// For `store=NAME`: the index in Http::session_stores, which stays.
int MentionStore(Block& block, const Directive& directive, const std::string& name);

// Once all of http is read: a store that is named and has no block is an error, one that has a
// block and is not named a notice.
Status CheckStores(Loader& loader, const Http& http);

}  // namespace limpet::conf
