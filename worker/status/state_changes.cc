#include "worker/status/state_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "conf/units.h"
#include "shm/peer_state.h"
#include "worker/status/rebalance_call.h"
#include "worker/sticky/home_id.h"

namespace limpet::worker {
namespace {

StatusReply BadBody(std::string_view text) { return ApiError(400, text); }

std::optional<std::string> UnknownKey(const Json& object,
                                      std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) == known.end()) return key;
  }
  return std::nullopt;
}

// "10m", "10m,keep", or seconds as a number.
std::optional<conf::DrainTime> DrainTimeOf(const Json& value) {
  constexpr double kLongest = 366.0 * 86400;
  if (value.is_string()) return conf::ParseDrainTime(value.get<std::string>());
  if (!value.is_number()) return std::nullopt;
  const auto seconds = value.get<double>();
  if (!(seconds > 0 && seconds <= kLongest)) return std::nullopt;  // no integer could hold it
  const std::chrono::milliseconds time(static_cast<int64_t>(seconds * 1000));
  if (time.count() <= 0) return std::nullopt;
  return conf::DrainTime{.time = time};
}

std::optional<double> ShareOf(const Json& value) {
  if (value.is_string()) return conf::ParseShare(value.get<std::string>());
  if (!value.is_number()) return std::nullopt;
  return conf::ParseShare(fmt::format("{:.6f}", value.get<double>()));
}

// Which server a text names in a zone: an id that the zone knows, or the address of a peer of an
// upstream that learns there.
uint16_t ServerIn(const StatusSource& source, const ZoneRef& zone, std::string_view server) {
  const uint16_t known = zone.table->peers().Find(server);
  if (known != shm::kNoPeer) return known;
  for (UpstreamGroup* group : source.upstreams) {
    if (!LearnsIn(group->conf(), source, zone)) continue;
    for (const Peer* peer : FindPeers(*group, server)) {
      const uint16_t index = zone.table->peers().Find(peer->server_id);
      if (index != shm::kNoPeer) return index;
    }
  }
  return shm::kNoPeer;
}

void SetDown(shm::PeerStanding& standing, bool down) {
  if (down) {
    standing.flags.fetch_or(shm::kPeerDown, std::memory_order_release);
  } else {
    standing.flags.fetch_and(~uint32_t{shm::kPeerDown}, std::memory_order_release);
  }
}

// False: all of them have left meanwhile.
template <class Change>
bool ChangeInPlace(UpstreamGroup& group, const std::vector<Peer*>& peers, const Change& change) {
  const shm::PeerStates::Guard guard(group.states());
  bool any = false;
  for (Peer* peer : peers) {
    if (!peer->is_in_place()) continue;
    change(peer->state->standing());
    any = true;
  }
  return any;
}

// Under every key that it may have there.
void AddEndsInStore(const StatusSource& source, const ZoneRef& zone, std::string_view id,
                    std::vector<shm::SessionRecord>* ends) {
  const auto store = static_cast<size_t>(zone.conf->store);
  for (const SipKey& secret : source.http.session_stores[store].keys) {
    const auto session = shm::Fingerprint::Of(SipHash128(id, secret));
    ends->push_back({.tag = session.tag, .extra = session.extra, .place = shm::kNoPeer});
  }
}

// Whether sessions of the zone that have moved may go back to where they came from.
bool GoBack(const StatusSource& source, const ZoneRef& zone) {
  return std::ranges::any_of(source.upstreams, [&](const UpstreamGroup* group) {
    const conf::Upstream& upstream = group->conf();
    return LearnsIn(upstream, source, zone) &&
           upstream.sticky.policy.failback != conf::SessionPolicy::Failback::kNever;
  });
}

StatusReply StoreIsBehind() {
  return ApiError(503, "the store takes no changes now, and too many wait for it: ask again later");
}

// What the configuration says of a server no call takes back; "" if it says nothing against it.
std::string_view WhyNotBack(const std::vector<Peer*>& peers, const Json& body) {
  const auto takes_back = [&body](const char* key) {
    return body.contains(key) && !body[key].get<bool>();
  };
  for (const Peer* peer : peers) {
    if (takes_back("drain") && peer->conf->drain)
      return "the configuration drains it: take \"drain\" away there, and reload";
    if (takes_back("down") && peer->conf->down)
      return "the configuration has it \"down\": take that away there, and reload";
  }
  return "";
}

}  // namespace

StatusReply PatchPeer(const StatusSource& source, const PeerPath& path, const Json& body) {
  UpstreamGroup* group = FindUpstream(source, path.upstream);
  if (group == nullptr) return NoSuchUpstream(source, path.upstream);
  const std::vector<Peer*> peers = FindPeers(*group, path.peer);
  if (peers.empty()) return NoSuchServer(*group, path.peer);
  if (group->conf().zone.empty())
    return ApiError(409,
                    "the upstream has no \"zone\": each worker has its own view of its servers");

  if (const auto key = UnknownKey(body, {"drain", "deadline", "move", "down"}))
    return BadBody(fmt::format("unknown key \"{}\"", *key));
  for (const char* key : {"drain", "down"}) {
    if (body.contains(key) && !body[key].is_boolean())
      return BadBody(fmt::format("\"{}\" must be true or false", key));
  }
  const bool drains = body.contains("drain") && body["drain"].get<bool>();
  if (!body.contains("drain") && !body.contains("down"))
    return BadBody("neither \"drain\" nor \"down\" is given");
  if (const std::string_view why = WhyNotBack(peers, body); !why.empty()) return ApiError(409, why);
  std::optional<conf::DrainTime> deadline;
  if (body.contains("deadline")) {
    deadline = DrainTimeOf(body["deadline"]);
    if (!deadline)
      return BadBody("\"deadline\" must be a time such as \"10m\" or \"10m,keep\", or seconds");
    if (!drains) return BadBody("\"deadline\" goes with \"drain\": true only");
  }

  int move = 0;
  if (body.contains("move")) {
    const auto rate = body["move"].is_string()
                          ? conf::ParsePerSecond(body["move"].get<std::string>())
                          : std::nullopt;
    if (!rate) return BadBody("\"move\" must be sessions a second, such as \"20/s\"");
    if (!drains) return BadBody("\"move\" goes with \"drain\": true only");
    if (const std::string_view why = WhyNoMoves(source, group->conf()); !why.empty())
      return ApiError(409, why);
    move = *rate;
  }

  const uint64_t until =
      deadline ? source.now_ms + static_cast<uint64_t>(deadline->time.count()) : 0;
  const auto change = [&](shm::PeerStanding& standing) {
    if (drains)
      shm::BeginDrain(standing, until, deadline && deadline->keeps, static_cast<uint32_t>(move));
    if (body.contains("drain") && !drains) shm::EndDrain(standing);
    if (body.contains("down")) SetDown(standing, body["down"].get<bool>());
  };
  if (!ChangeInPlace(*group, peers, change)) return NoSuchServer(*group, path.peer);
  if (source.status != nullptr) {
    for (const Peer* peer : peers)
      source.status->notes.Changed(group->conf().name, peer->name, WallMs());
  }
  return Good(PeerJson(source, group->conf(), *peers.front()));
}

StatusReply PatchZone(const StatusSource& source, const ZoneRef& zone, const Json& body) {
  if (const auto key = UnknownKey(body, {"fill_limits"}))
    return BadBody(fmt::format("unknown key \"{}\"", *key));
  if (!body.contains("fill_limits") || !body["fill_limits"].is_object())
    return BadBody("\"fill_limits\" must be an object");
  const Json& given = body["fill_limits"];
  if (const auto key = UnknownKey(given, {"minor", "major", "crit"}))
    return BadBody(fmt::format("unknown key \"{}\"", *key));

  shm::FillLimits limits = zone.table->GetFillLimits();
  const auto set = [&given](const char* key, double* limit) {
    if (!given.contains(key)) return true;
    const auto share = ShareOf(given[key]);
    if (share) *limit = *share;
    return share.has_value();
  };
  if (!set("minor", &limits.minor) || !set("major", &limits.major) || !set("crit", &limits.crit))
    return BadBody("a fill limit must be a share such as \"80%\", 80 or 0.8");
  if (limits.minor > limits.major || limits.major > limits.crit)
    return BadBody("fill limits must not fall from minor to major to crit");
  zone.table->SetFillLimits(limits);
  return Good(ZoneJson(source, zone, false));
}

StatusReply ForgetSession(const StatusSource& source, const ZoneRef& zone, std::string_view key) {
  // First the store, also where other machines have it and this one does not: should we die behind
  // that, the store's change ends it here.
  const std::string home = GoBack(source, zone) ? HomeIdOf(key) : std::string();
  if (zone.shared != nullptr) {
    std::vector<shm::SessionRecord> ends;
    AddEndsInStore(source, zone, key, &ends);
    if (!home.empty()) AddEndsInStore(source, zone, home, &ends);
    if (zone.shared->relay.Room() < ends.size()) return StoreIsBehind();
    if (!zone.shared->Relay(ends, zone.table->peers(), WallMs())) return StoreIsBehind();
  }
  const bool was_here = zone.table->Forget(zone.table->KeyOf(key), BootMs());
  if (!home.empty()) zone.table->Forget(zone.table->KeyOf(home), BootMs());
  zone.table->ForgetFormer(key, BootMs());
  if (zone.shared == nullptr && !was_here) return NotFound("no such session");
  return Good({{"forgotten", 1}});
}

StatusReply MoveSession(const StatusSource& source, const ZoneRef& zone, std::string_view key,
                        const Json& body) {
  if (const auto unknown = UnknownKey(body, {"move"}))
    return BadBody(fmt::format("unknown key \"{}\"", *unknown));
  const Json move = body.contains("move") ? body["move"] : Json();
  if (!move.is_object() || move.size() != 1 || !move.contains("to") || !move["to"].is_string())
    return BadBody("\"move\" must be {\"to\": \"the address or the id of a server\"}");
  const uint16_t to = ServerIn(source, zone, move["to"].get<std::string>());
  if (to == shm::kNoPeer) return NotFound("no such server in this zone");
  if (!zone.table->peers().Active(to))
    return ApiError(409, "the server to move to is no longer configured");
  const shm::SessionKey session = zone.table->KeyOf(key);
  if (zone.table->Peek(session, BootMs()).result != shm::LookupResult::kHit)
    return NotFound("no such session");
  // Where it came from is no home of one that is told where to live.
  const std::string home = GoBack(source, zone) ? HomeIdOf(key) : std::string();
  std::vector<shm::SessionRecord> changes;
  if (zone.shared != nullptr && !home.empty()) AddEndsInStore(source, zone, home, &changes);
  if (zone.shared != nullptr && zone.shared->relay.Room() <= changes.size()) return StoreIsBehind();
  if (zone.table->Learn(session, to, BootMs()) == shm::LearnResult::kRefused)
    return ApiError(409, "the session was not moved: its zone is full");
  if (!home.empty()) zone.table->Forget(zone.table->KeyOf(home), BootMs());
  if (const auto record = zone.table->ReadRecord(session)) changes.push_back(*record);
  if (zone.shared != nullptr && !zone.shared->Relay(changes, zone.table->peers(), WallMs()))
    return StoreIsBehind();
  return Good(SessionJson(source, zone, key));
}

StatusReply ForgetServer(const StatusSource& source, const ZoneRef& zone, std::string_view server,
                         std::optional<SessionSweep>* sweep) {
  const uint16_t peer = ServerIn(source, zone, server);
  if (peer == shm::kNoPeer) return NotFound("no such server in this zone");
  sweep->emplace(*zone.table, peer, shm::kNoPeer, zone.shared);
  return {};
}

StatusReply MoveSessions(const StatusSource& source, const ZoneRef& zone, const Json& body,
                         std::optional<SessionSweep>* sweep) {
  if (const auto key = UnknownKey(body, {"move"}))
    return BadBody(fmt::format("unknown key \"{}\"", *key));
  const Json move = body.contains("move") ? body["move"] : Json();
  if (!move.is_object()) return BadBody("\"move\" must be an object");
  if (const auto key = UnknownKey(move, {"from", "to"}))
    return BadBody(fmt::format("unknown key \"{}\"", *key));
  for (const char* key : {"from", "to"}) {
    if (!move.contains(key) || !move[key].is_string())
      return BadBody(fmt::format("\"{}\" must be the address or the id of a server", key));
  }
  const uint16_t from = ServerIn(source, zone, move["from"].get<std::string>());
  const uint16_t to = ServerIn(source, zone, move["to"].get<std::string>());
  if (from == shm::kNoPeer || to == shm::kNoPeer) return NotFound("no such server in this zone");
  if (from == to) return BadBody("both servers are the same");
  if (!zone.table->peers().Active(to))
    return ApiError(409, "the server to move to is no longer configured");
  sweep->emplace(*zone.table, from, to, zone.shared);
  return {};
}

}  // namespace limpet::worker
