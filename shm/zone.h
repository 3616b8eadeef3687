// A piece of memory that all processes of one limpet share: named, which outlives them; a file
// without a name, which lives as long as a process has it open or mapped; or anonymous.
//
// The master creates or finds it before it forks; workers inherit the mapping, so a zone stays
// readable for them after they have dropped their privileges (the object has mode 0600). Destroying
// a Zone unmaps it; only Remove() ends it.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet::shm {

class Zone {
 public:
  // A new object of `bytes`, all zero and really there (a full /dev/shm is an error here, not a
  // SIGBUS later). Fails if the name is taken.
  static Result<Zone> Create(const std::string& name, size_t bytes);

  // The object of that name. Fails with no_such_file_or_directory if there is none, and with
  // permission_denied if it is not ours alone: another user's, or open to others, or no file at
  // all.
  static Result<Zone> Open(const std::string& name);

  // Our objects whose names begin so, whatever else stands there.
  static std::vector<std::string> OwnNames(const std::string& prefix);

  // A file in memory, all zero and really there, closed on exec. Whoever is given its descriptor
  // can map it again.
  static Result<Zone> Nameless(size_t bytes);
  // That file in another process. Fails unless it is a file in memory of exactly so many bytes.
  static Result<Zone> FromDescriptor(UniqueFd fd, size_t bytes);

  // Memory without a name or a descriptor, shared with the children only.
  static Result<Zone> Anonymous(size_t bytes);

  static void Remove(const std::string& name);                               // mappings stay valid
  static Status Rename(const std::string& from, const std::string& to);      // replaces `to`
  static Status RenameNew(const std::string& from, const std::string& to);   // or file_exists
  static Status Exchange(const std::string& one, const std::string& other);  // at one moment

  std::byte* data() const { return static_cast<std::byte*>(region_.get_address()); }
  size_t size() const { return region_.get_size(); }
  int fd() const { return fd_.get(); }  // of a file without a name; -1: there is none

  // Whether the object stands under this name, and no other one has taken it.
  bool IsNamed(const std::string& name) const;
  // Whether anything does.
  static bool IsTaken(const std::string& name);

  // The same memory once more, also where it has no name any more: other processes that have
  // inherited this one count as others there. Not for memory without a descriptor.
  Result<Zone> OpenAgain() const;

  // Removes the name, unless it is another object's by now or another process has this one open
  // (forked children count as this one): that goes on with it.
  void RemoveIfAlone(const std::string& name);

  // True if no other process held the object when it was opened or created: nobody can be inside
  // one of its locks.
  bool alone() const { return alone_; }
  // The same now. Who has inherited it from this process does not count.
  bool Alone() const;
  // Whether others see that it is in use here. False where kin of a killed process have locked it
  // for themselves; the next call tries again.
  bool Hold() const;

 private:
  Zone() = default;
  Status Map(boost::interprocess::shared_memory_object object);
  int descriptor() const;

  // Kept: it carries the flock that says who else is here.
  boost::interprocess::shared_memory_object object_;
  UniqueFd fd_;
  boost::interprocess::mapped_region region_;
  bool alone_ = true;
  mutable bool held_ = true;
};

}  // namespace limpet::shm
