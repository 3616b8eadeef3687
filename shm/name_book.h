// What the master knows of the names of one upstream's servers: which table holds their peers, and
// under which number. A name keeps its number, and so its peers and their states, over reloads. A
// new name that resolves the same host begins with that one's addresses: a reload asks no name
// server before it serves. A table of another capacity begins with what was known of its peers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/resolved_peers.h"
#include "shm/zone.h"

namespace limpet::shm {

class NameBook {
 public:
  // The names of a new generation, one or more. Gives each its number, and makes a table if there
  // is none of that capacity. Under the group's lock. False: memory is short.
  bool Attach(const std::vector<ServerName>& names, uint32_t capacity,
              std::vector<uint32_t>* numbers);
  // A generation is over in the master; its workers may still be ending, so its names stay known
  // for two reloads more.
  void Release(const std::vector<uint32_t>& numbers);

  ResolvedPeers* table() const { return tables_.empty() ? nullptr : tables_.back().peers; }
  std::vector<PeerState*> States() const;       // in all tables
  std::vector<PeerState*> StatesInUse() const;  // the same, see ResolvedPeers

 private:
  struct Table {
    Zone memory;
    ResolvedPeers* peers;
  };
  struct Known {
    ServerName name;
    uint32_t number = 0;
    ResolvedPeers* table = nullptr;
    int users = 0;       // generations
    int reloads = 0;     // since it had any
    bool taken = false;  // in this Attach: a name that is written twice has two numbers
  };
  void ForgetOld();
  void CopyPeers(Known& to);
  Known* FindInOtherTables(const ServerName& name);
  const Known* FindHost(const ServerName& name) const;
  static void TakeOverStates(const Known& to, std::vector<ResolvedPeers::Entry> before);

  std::vector<Table> tables_;  // the last is in use; others have another capacity
  std::vector<Known> known_;
  uint32_t last_number_ = 0;
};

}  // namespace limpet::shm
