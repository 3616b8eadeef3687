// What a learn policy says to the store that several machines share, and asks of it. Without a
// store every call does nothing, and costs a comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conf/session_store.h"
#include "shm/session_table.h"
#include "worker/sticky/sticky.h"
#include "worker/store/store_client.h"

namespace limpet::worker {

class SharedSessions {
 public:
  explicit SharedSessions(StoreClient* store) : store_(store) {}
  bool on() const { return store_ != nullptr; }

  // For a session that the zone does not know. `home`: where it goes back to, if it `goes_back`.
  bool Ask(const StickyState& state, const shm::SessionKey& home, bool goes_back,
           StoreWait* wait) const {
    if (store_ == nullptr) return false;
    const bool waits = store_->Ask(state.key, FormerKeys(state.id), wait);
    if (waits && goes_back) store_->Check(home);
    return waits;
  }

  // Of one that the store knows and for which the zone has no place: where it lives, or kNoPeer.
  uint16_t PlacelessAt(const shm::SessionKey& key) const {
    return store_ != nullptr ? store_->PlacelessAt(key) : shm::kNoPeer;
  }
  // Its use here is written down there alone.
  void RenewPlaceless(const shm::SessionKey& key, const Peer& keeper) const {
    if (store_->zone().RenewalMs() > 0) store_->Renew(key, keeper.server_id, 0);
  }

  // A hit that was last used before the machine was cut off: it is served, and asked for.
  void CheckIfUnsure(const StickyState& state) const {
    if (store_ == nullptr || !store_->zone().IsUnsure(state.idle_ms)) return;
    store_->Check(state.key, store_->zone().KnownUntil(state.idle_ms, false));
  }

  void Tell(const shm::SessionKey& key, const Peer& keeper, shm::LearnResult result,
            StoreWait* wait) const {
    if (store_ != nullptr && result != shm::LearnResult::kRefreshed)
      store_->Put(key, keeper.server_id, wait);
  }
  // One that the zone has had for longer, as of its last use: what has become of it since is newer.
  void Offer(const shm::SessionKey& key, const Peer& keeper, uint64_t idle_ms) const {
    if (store_ != nullptr)
      store_->Offer(StoreKey::Of(key), keeper.server_id, WallMs() - idle_ms, idle_ms);
  }
  // As SessionTable::Touch, and the store renews the session's deadline now and then. A use that
  // the zone does not write down, so soon after another, renews nothing.
  bool Touch(shm::SessionTable& sessions, const shm::SessionKey& key, const Peer* keeper) const {
    if (store_ == nullptr || keeper == nullptr) return sessions.Touch(key, BootMs());
    const auto before = sessions.Peek(key, BootMs()).idle;
    const bool alive = sessions.Touch(key, BootMs());
    const auto idle = static_cast<uint64_t>(before.count());
    if (alive && store_->zone().RenewalIsDue(key, idle) &&
        sessions.Peek(key, BootMs()).idle < before)
      store_->Renew(key, keeper->server_id, idle);
    return alive;
  }
  void Forget(const shm::SessionKey& key) const {
    if (store_ != nullptr) store_->Forget(key);
  }
  // Under earlier key files.
  void ForgetFormer(std::string_view id) const {
    if (store_ == nullptr) return;
    for (const shm::SessionKey& key : FormerKeys(id)) store_->Forget(key);
  }
  // The store has said something of the session: what the zone knew under an earlier key is older.
  bool HasHeardOf(const shm::SessionKey& key) const {
    return store_ != nullptr && store_->zone().HasHeardOf(key);
  }

 private:
  // Under earlier key files.
  std::vector<shm::SessionKey> FormerKeys(std::string_view id) const {
    std::vector<shm::SessionKey> former;
    const std::vector<SipKey>& keys = store_->zone().conf().keys;
    for (size_t i = 1; i < keys.size(); ++i) former.push_back({SipHash128(id, keys[i])});
    return former;
  }

  StoreClient* const store_;  // null: the sessions are of this machine
};

}  // namespace limpet::worker
