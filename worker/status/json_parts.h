// The JSON of what the pages are made of, and how what they name is found.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/status/status.h"

namespace limpet::worker {

using Json = nlohmann::ordered_json;

// As text. Names in a configuration are bytes, not always UTF-8: what is not is replaced.
std::string Dump(const Json& json);
StatusReply Good(const Json& json);
StatusReply NotFound(std::string_view what);
// With what the name was likely meant to be.
StatusReply NoSuchZone(const StatusSource& source, std::string_view name);
StatusReply NoSuchUpstream(const StatusSource& source, std::string_view name);
StatusReply NoSuchServer(UpstreamGroup& group, std::string_view name);

struct ZoneRef {
  const conf::SessionZone* conf = nullptr;
  shm::SessionTable* table = nullptr;
  shm::StoreState* shared = nullptr;  // null: it has no store
  explicit operator bool() const { return table != nullptr; }
};
ZoneRef FindZone(const StatusSource& source, std::string_view name);
// Of the upstreams that learn sessions in this zone.
bool LearnsIn(const conf::Upstream& upstream, const StatusSource& source, const ZoneRef& zone);
UpstreamGroup* FindUpstream(const StatusSource& source, std::string_view name);
// "NAME/peers/PEER" in its parts; no peer: it is not of that form.
struct PeerPath {
  std::string_view upstream, peer;
};
PeerPath SplitPeerPath(std::string_view path);
// Peers of that address ("10.0.0.1:8080"), that server as written in the configuration, or that id:
// one name may stand for several.
std::vector<Peer*> FindPeers(UpstreamGroup& group, std::string_view name);

Json ZoneJson(const StatusSource& source, const ZoneRef& zone, bool history);
Json SessionJson(const StatusSource& source, const ZoneRef& zone, std::string_view key);
Json PeerJson(const StatusSource& source, const conf::Upstream& upstream, const Peer& peer);
Json UpstreamJson(const StatusSource& source, UpstreamGroup& group);
Json RootJson(const StatusSource& source);
Json AlertsJson(const StatusSource& source);
// Each store by name, with its state.
Json StoreStatesJson(const StatusSource& source);
// All stores, or the one of this name; see store_page.cc.
StatusReply StoresPage(const StatusSource& source, std::string_view name);
// Databases of addresses; see geoip2_page.cc.
StatusReply Geoip2Page(const StatusSource& source);
// Tokens of jwt_claim; see jwt_page.cc.
StatusReply JwtPage(const StatusSource& source);
// Angie's tree; see angie_page.cc. Whether a path that begins so is of it, and what is there.
bool IsOfAngie(std::string_view collection);
StatusReply AngiePage(const StatusSource& source, std::string_view path, std::string_view args);

}  // namespace limpet::worker
