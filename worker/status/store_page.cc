// `stores`, `stores/NAME`: where zones are shared, whether the store is there for them, and what
// they have counted. What lets somebody into a store (its user, passwords, keys) is not said.
#include "base/clock.h"
#include "worker/status/fields.h"
#include "worker/status/json_parts.h"
#include "worker/status/store_facts.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

Json FiguresJson(const shm::StoreState& state) {
  const shm::StoreFigures& figures = state.figures;
  const auto since = AloneSince(state);
  Json json = {{"state", since ? "lost" : "up"}};
  if (since) {
    json["lost_since"] = FormatIso8601(static_cast<int64_t>(WallMsOfBoot(*since)) / 1000);
    json["lost_ms"] = ForMs(*since);
  }
  json["lag_ms"] = figures.lag_ms.load(kRelaxed);
  json["waiting"] = state.Waiting();
  json["asking_workers"] = figures.workers.Asking();
  for (const StoreField& field : kStoreFields)
    json[std::string(field.name)] = (figures.*field.value).load(kRelaxed);
  return json;
}

Json ServersJson(const conf::SessionStore& store) {
  Json servers = Json::array();
  for (const conf::SessionStore::Server& server : store.servers) servers.push_back(server.name);
  return servers;
}

Json StoreJson(const conf::SessionStore& store, std::span<const StoreUse> uses) {
  Json json = {{"state", StoreStateName(store, uses)}, {"servers", ServersJson(store)}};
  if (!store.sentinel.empty()) json["sentinel"] = store.sentinel;
  json["tls"] = store.tls.on;
  json["wait_ms"] = store.wait.count();
  json["max_waiting"] = store.max_waiting;
  json["queue"] = store.queue;
  json["zones"] = Json::object();
  for (const StoreUse& use : uses) {
    if (use.store == &store) json["zones"][use.zone->name] = FiguresJson(*use.state);
  }
  return json;
}

}  // namespace

StatusReply StoresPage(const StatusSource& source, std::string_view name) {
  const std::vector<StoreUse> uses = StoreUses(source.http, source.stores);
  Json all = Json::object();
  for (const conf::SessionStore& store : source.http.session_stores) {
    if (store.name == name) return Good(StoreJson(store, uses));
    if (name.empty()) all[store.name] = StoreJson(store, uses);
  }
  return name.empty() ? Good(all) : NotFound("no such session store");
}

Json StoreStatesJson(const StatusSource& source) {
  const std::vector<StoreUse> uses = StoreUses(source.http, source.stores);
  Json states = Json::object();
  for (const conf::SessionStore& store : source.http.session_stores)
    states[store.name] = StoreStateName(store, uses);
  return states;
}

}  // namespace limpet::worker
