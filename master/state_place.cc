#include "master/state_place.h"

#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/own_file.h"
#include "master/file_lock.h"

namespace limpet::master {
namespace {

constexpr size_t kLongestPath = 4096;

std::string Read(int fd) {
  std::array<char, kLongestPath> text;
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return {text.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

bool Write(int fd, std::string_view text) {
  return ::ftruncate(fd, 0) == 0 &&
         ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

}  // namespace

std::string StatePlace::Take(const std::string& folder, const std::string& home) {
  const std::string path = folder + (folder.ends_with('/') ? "" : "/") + "limpet.lock";
  const bool is_ours = fd_ && IsFileAt(fd_.get(), path);
  if (is_ours) return "";
  Result<UniqueFd> fd = OpenOrMakeOwnFile(path);  // the folder may be another user's
  if (!fd) return "";
  if (!LockFile(fd->get())) {
    const std::string other = Read(fd->get());
    return other == home ? "" : other;
  }
  if (Write(fd->get(), home)) fd_ = std::move(*fd);
  return "";
}

}  // namespace limpet::master
