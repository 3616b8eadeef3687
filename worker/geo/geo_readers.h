// What a worker looks addresses up in: the current copy of each database, followed without a
// reload. Used from the worker's loop only.
#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/socket_address.h"
#include "conf/geoip2.h"
#include "shm/alert_ring.h"
#include "worker/geo/geo_store.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class GeoWatch;

class GeoReaders {
 public:
  GeoReaders(Loop& loop, const conf::GeoSettings& settings, const GeoStore& store, const Log& log,
             shm::AlertRing& alerts);
  ~GeoReaders();
  GeoReaders(const GeoReaders&) = delete;
  GeoReaders& operator=(const GeoReaders&) = delete;

  void Start();  // looking at the files

  // What a field says (index into conf::GeoSettings::fields). `client`: whose address it is without
  // source=; null: nobody knows. The text lives as long as the reader's request.
  conf::Value Find(size_t field, conf::VariableReader& reader, const SocketAddress* client);
  std::vector<const shm::GeoState*> States() const;  // to conf::GeoSettings::databases
  bool TakesClient(size_t field) const { return !settings_.fields[field].source.has_value(); }

 private:
  class Entry;
  conf::Value FindRecord(const conf::GeoField& conf, size_t field, conf::VariableReader& reader,
                         const SocketAddress* client);

  const conf::GeoSettings& settings_;
  std::vector<std::unique_ptr<Entry>> entries_;  // to conf::GeoSettings::databases
  // Parallel to conf::GeoSettings::fields; each ends with null.
  std::vector<std::vector<const char*>> paths_;
};

}  // namespace limpet::worker
