#include "worker/sticky/first_requests.h"

#include <utility>

namespace limpet::worker {

Peer* FirstRequests::Find(uint64_t client, PeerSet& set, uint64_t now_ms) const {
  const auto it = leads_.find(client);
  if (it == leads_.end() || now_ms - it->second.since_ms > wait_ms_) return nullptr;
  return set.Own(it->second.peer);
}

void FirstRequests::Join(Member& member, uint64_t client, Peer& peer, uint64_t now_ms) {
  member.Leave();
  if (!on()) return;
  auto [it, is_first] = leads_.try_emplace(client);
  Lead& lead = it->second;
  const bool is_over = !is_first && now_ms - lead.since_ms > wait_ms_;
  if (is_first || is_over) lead = {&peer, now_ms, ++rounds_, 0};
  if (lead.peer != &peer) return;  // it could not follow
  ++lead.members;
  member.requests_ = this;
  member.client_ = client;
  member.round_ = lead.round;
}

void FirstRequests::Member::Leave() {
  FirstRequests* const requests = std::exchange(requests_, nullptr);
  if (requests == nullptr) return;
  const auto it = requests->leads_.find(client_);
  if (it == requests->leads_.end() || it->second.round != round_) return;
  if (--it->second.members == 0) requests->leads_.erase(it);
}

}  // namespace limpet::worker
