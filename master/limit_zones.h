// The memory of limit_req_zone and limit_conn_zone: anonymous, inherited by workers, kept by name
// over reloads so that a reload forgives nobody. A zone of another size begins anew.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "shm/limit_conn_table.h"
#include "shm/limit_req_table.h"
#include "shm/zone.h"

namespace limpet::master {

class LimitZones {
 public:
  // Finds or makes each zone of `http`; the vectors become parallel to the configuration's. Fails
  // if a zone that is in use gets another key: what it holds would mean something else.
  Status Attach(const conf::Http& http, std::vector<shm::LimitReqTable*>* requests,
                std::vector<shm::LimitConnTable*>* connections);
  void DropUnused(const conf::Http* http);  // null: none is used
  void ForgetWorker(int slot);

 private:
  template <class Table>
  struct Kept {
    shm::Zone memory;
    Table table;
    std::string key;  // as written
  };
  template <class Table>
  using ByName = std::map<std::string, std::unique_ptr<Kept<Table>>>;
  template <class Table, class ConfZone>
  static Result<Table*> Find(ByName<Table>* zones, const ConfZone& conf,
                             std::string_view directive);

  ByName<shm::LimitReqTable> requests_;
  ByName<shm::LimitConnTable> connections_;
};

}  // namespace limpet::master
