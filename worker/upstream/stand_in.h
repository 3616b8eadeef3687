// Which peer stands in for another, by rendezvous hashing: everybody who knows the same peers comes
// to the same answer, with nothing stored, and only those whose stand-in goes get another.
#pragma once

#include <string_view>

namespace limpet::worker {

// Of all peers the one with the highest score stands in for a session; a peer gets a share of them
// by its weight. `session` is what the client brings, `server_id` the peer's. The same in all
// processes, machines and versions.
double StandInScore(std::string_view session, std::string_view server_id, int weight);

}  // namespace limpet::worker
