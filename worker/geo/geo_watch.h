// One worker's look at a database's file, every so often (auto_reload). Looking, copying and
// checking wait for the disk, so a thread does it: it touches nothing but the GeoFile.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "shm/alert_ring.h"
#include "worker/geo/geo_file.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class GeoWatch {
 public:
  // `alerts`: of a file that has to be refused. `looked`: called in the loop after each look.
  GeoWatch(Loop& loop, GeoFile& file, std::chrono::milliseconds interval, const Log& log,
           shm::AlertRing& alerts, Callback looked);
  ~GeoWatch();  // waits for the thread, which ends at its next piece of the file
  GeoWatch(const GeoWatch&) = delete;
  GeoWatch& operator=(const GeoWatch&) = delete;

  void Start() { timer_.Arm(interval_); }

 private:
  void OnTimer();
  void OnLooked();
  void Report();

  GeoFile& file_;
  std::chrono::milliseconds interval_;
  const Log& log_;
  shm::AlertRing& alerts_;
  Callback looked_;
  Timer timer_;
  UniqueFd wake_;
  FdWatch woken_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
  GeoFile::Renewal renewal_;  // of the thread, until it has woken us
};

}  // namespace limpet::worker
