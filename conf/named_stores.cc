#include "conf/named_stores.h"

#include <fmt/core.h>

#include <algorithm>

#include "conf/loader.h"
#include "conf/near_miss.h"

namespace limpet::conf {
namespace {

Error NotDefined(const Http& http, const std::string& name, const std::string& place) {
  NearMiss near(name);
  for (const SessionStore& store : http.session_stores) {
    if (!store.declared_at.empty()) near.Offer(store.name);
  }
  return InvalidArgument(
      fmt::format("session_store \"{}\" is not defined{} in {}", name, near.Hint(), place));
}

}  // namespace

SessionStore& FindOrAddStore(Http& http, const std::string& name) {
  const auto found = std::ranges::find(http.session_stores, name, &SessionStore::name);
  if (found != http.session_stores.end()) return *found;
  SessionStore& added = http.session_stores.emplace_back();
  added.name = name;
  return added;
}

int MentionStore(Block& b, const Directive& d, const std::string& name) {
  b.loader.mentioned_stores.emplace(name, Where(d));
  return static_cast<int>(&FindOrAddStore(*b.http, name) - b.http->session_stores.data());
}

Status CheckStores(Loader& loader, const Http& http) {
  for (const SessionStore& store : http.session_stores) {
    const auto mentioned = loader.mentioned_stores.find(store.name);
    if (store.declared_at.empty()) return NotDefined(http, store.name, mentioned->second);
    if (mentioned != loader.mentioned_stores.end()) continue;
    loader.config().notices.push_back(
        fmt::format("session_store \"{0}\" is used by no \"sticky learn\": store={0} does that in "
                    "{1}",
                    store.name, store.declared_at));
  }
  return {};
}

}  // namespace limpet::conf
