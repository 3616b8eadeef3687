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

// Where the name is only in another table, its peers are the same, with their states. Those of
// another port start afresh.
void NameBook::CopyPeers(Known& to) {
  Known* const same = FindInOtherTables(to.name);
  const Known* const like = same != nullptr ? same : FindHost(to.name);
  if (like == nullptr || !like->table->Answered(like->number)) return;
  const std::vector<ResolvedPeers::Entry> before = like->table->Peers(like->number);
  std::vector<ResolvedPeer> peers;
  for (const ResolvedPeers::Entry& entry : before) {
    ResolvedPeer& peer = peers.emplace_back(entry.peer);
    if (to.name.service.empty()) peer.address.set_port(to.name.port);
  }
  to.table->Replace(to.number, peers);
  if (same == nullptr) return;
  same->taken = true;
  TakeOverStates(to, before);
}

// In the youngest of them.
NameBook::Known* NameBook::FindInOtherTables(const ServerName& name) {
  for (auto table = tables_.rbegin() + 1; table != tables_.rend(); ++table) {
    const auto found = std::ranges::find_if(known_, [&](const Known& known) {
      return known.name == name && known.table == table->peers && !known.taken;
    });
    if (found != known_.end()) return &*found;
  }
  return nullptr;
}

// The youngest that resolves the same.
const NameBook::Known* NameBook::FindHost(const ServerName& name) const {
  const auto found = std::find_if(known_.rbegin(), known_.rend(), [&](const Known& known) {
    return known.name.host == name.host && known.name.service == name.service;
  });
  return found == known_.rend() ? nullptr : &*found;
}

void NameBook::TakeOverStates(const Known& to, std::vector<ResolvedPeers::Entry> before) {
  for (const ResolvedPeers::Entry& entry : to.table->Peers(to.number)) {
    const auto known = std::ranges::find(before, entry.peer, &ResolvedPeers::Entry::peer);
    if (known == before.end()) continue;
    TakeOver(*entry.state, *known->state);
    before.erase(known);  // two equal peers have a state each
  }
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
