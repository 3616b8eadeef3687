// The memory of ssl_session_cache shared:NAME:SIZE: anonymous, inherited by workers, kept by name
// over reloads so that clients go on resuming. A zone of another size begins anew.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "shm/tls_session_table.h"
#include "shm/zone.h"

namespace limpet::master {

class TlsSessionZones {
 public:
  // Finds or makes each zone of `http`, in the configuration's order.
  Result<std::vector<shm::TlsSessionTable*>> Attach(const conf::Http& http);
  void DropUnused(const conf::Http* http);  // null: none is used

 private:
  struct Kept {
    shm::Zone memory;
    shm::TlsSessionTable table;
  };
  std::map<std::string, std::unique_ptr<Kept>> zones_;
};

}  // namespace limpet::master
