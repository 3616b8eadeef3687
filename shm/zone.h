// A named piece of memory that all processes of one limpet share, and that outlives them.
//
// The master creates or finds it before it forks; workers inherit the mapping, so a zone stays
// readable for them after they have dropped their privileges (the object has mode 0600). Destroying
// a Zone unmaps it; only Remove() ends it.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cstddef>
#include <string>

#include "base/result.h"

namespace limpet::shm {

class Zone {
 public:
  // A new object of `bytes`, all zero and really there (a full /dev/shm is an error here, not a
  // SIGBUS later). Fails if the name is taken.
  static Result<Zone> Create(const std::string& name, size_t bytes);

  // The object of that name. Fails with no_such_file_or_directory if there is none; refuses one
  // that belongs to another user or that others may open.
  static Result<Zone> Open(const std::string& name);

  // Memory without a name, shared with the children only.
  static Result<Zone> Anonymous(size_t bytes);

  static void Remove(const std::string& name);                           // mappings stay valid
  static Status Rename(const std::string& from, const std::string& to);  // replaces `to`

  std::byte* data() const { return static_cast<std::byte*>(region_.get_address()); }
  size_t size() const { return region_.get_size(); }

  // True if no other process held the object when it was opened or created: nobody can be inside
  // one of its locks.
  bool alone() const { return alone_; }

 private:
  Zone() = default;
  Status Map(boost::interprocess::shared_memory_object object);

  boost::interprocess::shared_memory_object
      object_;  // kept: it carries the flock that says who else is here
  boost::interprocess::mapped_region region_;
  bool alone_ = true;
};

}  // namespace limpet::shm
