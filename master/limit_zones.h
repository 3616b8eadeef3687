// The memory of limit_req_zone and limit_conn_zone: see kept_zones.h. It stays over reloads and
// changes of the binary, so that neither forgives anybody.
#pragma once

#include <vector>

#include "conf/config.h"
#include "master/kept_zones.h"
#include "shm/limit_conn_table.h"
#include "shm/limit_req_table.h"

namespace limpet::master {

class LimitZones {
 public:
  // Finds or makes each zone of `http`; the vectors become parallel to the configuration's. Slots
  // of this process's workers begin at `first_slot`. `inherited` may be null.
  Status Attach(const conf::Http& http, int32_t first_slot, Inheritance* inherited, const Log& log,
                std::vector<shm::LimitReqTable*>* requests,
                std::vector<shm::LimitConnTable*>* connections);
  // What the last Attach() made is not to serve; or it serves (null: it uses none).
  void TakeBack();
  void DropUnused(const conf::Http* http);
  [[nodiscard]] bool ForgetWorker(int slot);  // false: a lock is kept; to be called again

  // Another binary beside this one: it is about to be started, or it has gone. Both may throw
  // shm::LockBusy, and be called again.
  void AdmitOthers();
  void KeepOnlyOwn();
  void Bequeath(Bequest* bequest) const;

 private:
  KeptZones<shm::LimitReqTable> requests_{"limit_req"};
  KeptZones<shm::LimitConnTable> connections_{"limit_conn_zone"};
};

}  // namespace limpet::master
