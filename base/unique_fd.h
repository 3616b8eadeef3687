// Owner of one file descriptor. Movable; closes on destruction.
#pragma once

#include <utility>

#include "base/result.h"

namespace limpet {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

Status SetNonBlocking(int fd);
bool SetCloseOnExec(int fd, bool close);  // false: there is no such descriptor
// A file of memfd_create(2) or tmpfs: only such files have seals.
bool IsFileInMemory(int fd);

}  // namespace limpet
