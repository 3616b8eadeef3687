#include "master/claim.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "master/file_lock.h"

namespace limpet::master {
namespace {

constexpr int kTries = 10;  // others may come and go between two looks

}  // namespace

bool Claim::Hold(const std::string& path, std::string_view what, std::string_view advice,
                 const Log& log) {
  Try tried = Try::kChanged;
  for (int i = 0; i < kTries && tried == Try::kChanged; ++i) tried = TryHold(path);
  if (tried != Try::kTaken) {
    told_ = false;
    return true;
  }
  if (std::exchange(told_, true)) return false;
  const std::string who = holder_ > 0 ? fmt::format("process {}", holder_)
                                      : std::string("a process of another container or machine");
  LIMPET_LOG(log, LogLevel::kError, "{} is that of another limpet ({}) and is left alone here: {}",
             what, who, advice);
  return false;
}

Claim::Try Claim::TryHold(const std::string& path) {
  if (fd_ && path == path_ && owner_ == ::getpid() && IsFileAt(fd_.get(), path)) return Try::kOurs;
  Release();
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) return Try::kOurs;
  if (!LockFile(fd.get())) {
    const auto holder = LockHolder(fd.get());
    holder_ = holder.value_or(0);
    return holder ? Try::kTaken : Try::kChanged;
  }
  if (!IsFileAt(fd.get(), path)) return Try::kChanged;  // its holder has taken it away meanwhile
  fd_ = std::move(fd);
  path_ = path;
  owner_ = ::getpid();
  return Try::kOurs;
}

void Claim::Release() {
  if (fd_ && owner_ == ::getpid() && IsFileAt(fd_.get(), path_)) ::unlink(path_.c_str());
  fd_.Reset();
}

}  // namespace limpet::master
