// A session zone of this worker with the store that it is shared through. Lives as long as the
// worker serves.
#pragma once

#include "worker/store/store_client.h"
#include "worker/store/store_follower.h"
#include "worker/store/store_zone.h"

namespace limpet::worker {

class SharedZone {
 public:
  explicit SharedZone(const StoreZone::Env& env)
      : zone_(env), client_(zone_), follower_(zone_, client_) {}

  void Start() {
    client_.Start();
    follower_.Start();
  }
  // The worker ends its last requests: another one follows the changes.
  void StopFollowing() { follower_.Stop(); }
  void Stop() {
    follower_.Stop();
    client_.Stop();
  }
  StoreClient& client() { return client_; }

 private:
  StoreZone zone_;
  StoreClient client_;
  StoreFollower follower_;
};

}  // namespace limpet::worker
