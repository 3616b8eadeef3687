// A database of addresses as all processes of a generation have it: two copies of the file in
// memory without a name, one of them current. Made by the master and inherited by fork.
//
// Always: the current copy is sound, and no bytes of a copy change while a process has it opened:
// readers hold a lock on it, whoever writes the other one holds that alone. The kernel takes the
// locks of a process that dies.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "shm/geo_state.h"
#include "shm/zone.h"
#include "worker/geo/database.h"

namespace limpet::worker {

class GeoFile {
 public:
  // Reads and checks the file, which takes its time; an error names it.
  static Result<std::shared_ptr<GeoFile>> Load(const std::string& path);

  const std::string& path() const { return path_; }
  shm::GeoState& state() const { return *state_; }

  // Whether the file is the one that the current copy was made of.
  bool IsCurrent() const;

  // The current copy. Fails if it is just being replaced, or for want of descriptors or memory.
  struct Opened {
    std::unique_ptr<Database> database;
    uint64_t serial = 0;
  };
  Result<Opened> Open() const;

  // Looks at the file and, if it is another one than at the last look of any process, makes it the
  // current copy or refuses it. Waits for the disk: call it in a thread. Ends early if `stop`.
  enum class Look : uint8_t {
    kSame,
    kReplaced,
    kRefused,  // why is in `text`; an earlier file is used on
    kLater,    // it is being written, or the other copy is in use still
  };
  struct Renewal {
    Look look = Look::kSame;
    std::string text;
  };
  Renewal Renew(const std::atomic<bool>& stop);

 private:
  GeoFile(std::string path, shm::Zone memory);
  UniqueFd Reopen(size_t copy, int flags) const;
  Status Fill(size_t copy, const std::atomic<bool>& stop, uint64_t* seen);
  void MakeCurrent(size_t copy, uint64_t seen);
  Renewal Replace(uint64_t seen, size_t copy, const std::atomic<bool>& stop);

  std::string path_;
  shm::Zone memory_;
  shm::GeoState* state_;
  std::array<UniqueFd, 2> copies_;
};

}  // namespace limpet::worker
