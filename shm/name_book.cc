#include "shm/name_book.h"

#include <algorithm>
#include <utility>

namespace limpet::shm {
namespace {
constexpr int kReloadsRemembered = 2;
}

bool NameBook::Attach(const std::vector<ServerName>& names, uint32_t capacity,
                      std::vector<uint32_t>* numbers) {
  if (table() == nullptr || table()->capacity() != capacity) {
    auto memory = Zone::Anonymous(ResolvedPeers::BytesFor(capacity));
    if (!memory) return false;
    auto* peers = ResolvedPeers::Format(memory->data(), capacity);
    tables_.push_back({std::move(*memory), peers});
  }
  for (Known& known : known_) {
    known.taken = false;
    known.reloads = known.users > 0 ? 0 : known.reloads + 1;
  }
  for (const ServerName& name : names) {
    auto found = std::ranges::find_if(known_, [&](const Known& known) {
      return known.name == name && known.table == table() && !known.taken;
    });
    if (found == known_.end()) {
      Known fresh{.name = name, .number = ++last_number_, .table = table()};
      CopyPeers(fresh);
      found = known_.insert(known_.end(), std::move(fresh));
    }
    found->taken = true;
    ++found->users;
    numbers->push_back(found->number);
  }
  ForgetOld();
  return true;
}

// From the youngest that resolves the same. Their states start afresh: it is another port, or
// another table.
void NameBook::CopyPeers(Known& to) {
  const auto same = std::find_if(known_.rbegin(), known_.rend(), [&](const Known& known) {
    return known.name.host == to.name.host && known.name.service == to.name.service;
  });
  if (same == known_.rend() || !same->table->Answered(same->number)) return;
  std::vector<ResolvedPeer> peers;
  for (ResolvedPeers::Entry& entry : same->table->Peers(same->number)) {
    if (to.name.service.empty()) entry.peer.address.set_port(to.name.port);
    peers.push_back(std::move(entry.peer));
  }
  to.table->Replace(to.number, peers);
}

void NameBook::ForgetOld() {
  std::erase_if(known_, [](const Known& known) {
    if (known.users > 0 || known.reloads < kReloadsRemembered) return false;
    known.table->Forget(known.number);
    return true;
  });
  std::erase_if(tables_, [this](const Table& table) {
    return table.peers != tables_.back().peers &&
           std::ranges::none_of(known_,
                                [&](const Known& known) { return known.table == table.peers; });
  });
}

void NameBook::Release(const std::vector<uint32_t>& numbers) {
  for (const uint32_t number : numbers) {
    const auto found = std::ranges::find(known_, number, &Known::number);
    if (found != known_.end()) --found->users;
  }
}

std::vector<PeerState*> NameBook::StatesInUse() const {
  std::vector<PeerState*> states;
  for (const Table& table : tables_) {
    for (PeerState* state : table.peers->StatesInUse()) states.push_back(state);
  }
  return states;
}

std::vector<PeerState*> NameBook::States() const {
  std::vector<PeerState*> states;
  for (const Table& table : tables_) {
    for (PeerState* state : table.peers->States()) states.push_back(state);
  }
  return states;
}

}  // namespace limpet::shm
