#include "worker/geo/geo_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string_view>

#include "base/clock.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr size_t kPiece = size_t{4} << 20;  // between two looks at whether to stop
constexpr off_t kLongest = off_t{4} << 30;  // offsets of records have 32 bits

constexpr uint64_t kMissing = 1;  // GeoState::seen: there was no file

// Tells one state of a file from another.
uint64_t Fingerprint(const struct stat& found) {
  const std::array<uint64_t, 7> facts = {
      static_cast<uint64_t>(found.st_dev),          static_cast<uint64_t>(found.st_ino),
      static_cast<uint64_t>(found.st_size),         static_cast<uint64_t>(found.st_mtim.tv_sec),
      static_cast<uint64_t>(found.st_mtim.tv_nsec), static_cast<uint64_t>(found.st_ctim.tv_sec),
      static_cast<uint64_t>(found.st_ctim.tv_nsec)};
  const std::string_view bytes(reinterpret_cast<const char*>(facts.data()), sizeof facts);
  return std::max<uint64_t>(std::hash<std::string_view>{}(bytes), kMissing + 1);
}

uint64_t LookAt(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? Fingerprint(found) : kMissing;
}

// Of the open file, so that a child has its parent's, and any of their ends keeps it.
bool TryLock(int fd, short kind) {
  struct flock lock {};
  lock.l_type = kind;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

Error Wrong(const std::string& path, std::string_view why) {
  return InvalidArgument(fmt::format("\"{}\" is no database of addresses: {}", path, why));
}

Result<UniqueFd> OpenFile(const std::string& path, struct stat* found) {
  // A FIFO is refused, not waited for.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  if (::fstat(fd.get(), found) != 0)
    return ErrnoError(fmt::format("fstat() \"{}\" failed", path), errno);
  if (!S_ISREG(found->st_mode)) return Wrong(path, "it is no regular file");
  if (found->st_size == 0) return Wrong(path, "it is empty");
  if (found->st_size > kLongest) return Wrong(path, "it is longer than 4g");
  return fd;
}

}  // namespace

GeoFile::GeoFile(std::string path, shm::Zone memory)
    : path_(std::move(path)),
      memory_(std::move(memory)),
      state_(reinterpret_cast<shm::GeoState*>(memory_.data())) {}

Result<std::shared_ptr<GeoFile>> GeoFile::Load(const std::string& path) {
  auto memory = shm::Zone::Anonymous(sizeof(shm::GeoState));
  if (!memory) return memory.error();
  std::shared_ptr<GeoFile> made(new GeoFile(path, std::move(*memory)));
  for (UniqueFd& copy : made->copies_) {
    copy.Reset(::memfd_create("limpet geoip2", MFD_CLOEXEC));
    if (!copy) return ErrnoError("memfd_create() failed", errno);
  }
  const std::atomic<bool> never{false};
  uint64_t seen = 0;
  if (Status filled = made->Fill(0, never, &seen); !filled) return filled.error();
  made->MakeCurrent(0, seen);
  made->state_->last_check_s.store(made->state_->last_change_s.load(kRelaxed), kRelaxed);
  return made;
}

bool GeoFile::IsCurrent() const {
  return !state_->refused_now.load(kRelaxed) && state_->seen.load(kRelaxed) == LookAt(path_);
}

// As another open file, which has locks of its own.
UniqueFd GeoFile::Reopen(size_t copy, int flags) const {
  const std::string name = fmt::format("/proc/self/fd/{}", copies_[copy].get());
  return UniqueFd(::open(name.c_str(), flags | O_CLOEXEC));
}

Result<GeoFile::Opened> GeoFile::Open() const {
  const uint64_t serial = state_->serial.load(std::memory_order_acquire);
  UniqueFd fd = Reopen(state_->current.load(kRelaxed), O_RDONLY);
  if (!fd) return ErrnoError(fmt::format("open() of the copy of \"{}\" failed", path_), errno);
  if (!TryLock(fd.get(), F_RDLCK) || state_->serial.load(std::memory_order_acquire) != serial) {
    return Error{std::make_error_code(std::errc::device_or_resource_busy),
                 fmt::format("\"{}\" is just being replaced", path_)};
  }
  auto database = Database::Open(std::move(fd));
  if (!database) return Wrong(path_, database.error().message);
  return Opened{std::move(*database), serial};
}

// Copies the file and checks the copy; `seen`: what was copied.
Status GeoFile::Fill(size_t copy, const std::atomic<bool>& stop, uint64_t* seen) {
  struct stat before {};
  auto file = OpenFile(path_, &before);
  if (!file) return file.error();
  *seen = Fingerprint(before);
  const int to = copies_[copy].get();
  if (::ftruncate(to, 0) != 0 || ::lseek(to, 0, SEEK_SET) != 0)
    return ErrnoError("ftruncate() of memory failed", errno);
  for (off_t at = 0; at < before.st_size && !stop.load(kRelaxed);) {
    const ssize_t n = ::sendfile(to, file->get(), &at, kPiece);
    if (n < 0 && errno != EINTR)
      return ErrnoError(fmt::format("read() \"{}\" failed", path_), errno);
    if (n == 0) break;
  }
  struct stat after {};
  if (stop.load(kRelaxed) || ::fstat(file->get(), &after) != 0 || Fingerprint(after) != *seen) {
    return Error{std::make_error_code(std::errc::device_or_resource_busy),
                 fmt::format("\"{}\" is just being written", path_)};
  }
  auto database = Database::Open(Reopen(copy, O_RDONLY));
  if (!database) return Wrong(path_, database.error().message);
  if (Status sound = (*database)->Check(stop); !sound) return Wrong(path_, sound.error().message);
  if (!stop.load(kRelaxed)) state_->build_epoch.store((*database)->build_epoch(), kRelaxed);
  return {};
}

void GeoFile::MakeCurrent(size_t copy, uint64_t seen) {
  state_->seen.store(seen, kRelaxed);
  state_->refused_now.store(false, kRelaxed);
  state_->last_change_s.store(Now().seconds, kRelaxed);
  state_->current.store(static_cast<uint32_t>(copy), kRelaxed);
  state_->serial.fetch_add(1, std::memory_order_release);
}

GeoFile::Renewal GeoFile::Renew(const std::atomic<bool>& stop) {
  state_->last_check_s.store(Now().seconds, kRelaxed);
  const uint64_t seen = LookAt(path_);
  const bool same = seen == state_->seen.load(kRelaxed);
  const size_t spare = 1 - state_->current.load(kRelaxed);
  struct stat found {};
  if (same && (::fstat(copies_[spare].get(), &found) != 0 || found.st_size == 0)) return {};
  const UniqueFd lock = Reopen(spare, O_RDWR);
  const bool locked = lock && TryLock(lock.get(), F_WRLCK);
  if (!locked || state_->current.load(kRelaxed) == spare)
    return {same ? Look::kSame : Look::kLater, {}};
  if (same || seen == state_->seen.load(kRelaxed)) {
    (void)::ftruncate(copies_[spare].get(), 0);  // nobody has it opened any more
    return {};
  }
  return Replace(seen, spare, stop);
}

GeoFile::Renewal GeoFile::Replace(uint64_t seen, size_t copy, const std::atomic<bool>& stop) {
  const Status filled = Fill(copy, stop, &seen);
  if (filled && !stop.load(kRelaxed)) {
    MakeCurrent(copy, seen);
    state_->replaced.fetch_add(1, kRelaxed);
    return {Look::kReplaced, {}};
  }
  (void)::ftruncate(copies_[copy].get(), 0);
  if (filled || filled.error().code == std::errc::device_or_resource_busy)
    return {Look::kLater, {}};
  state_->seen.store(seen, kRelaxed);
  state_->refused_now.store(true, kRelaxed);
  state_->refused.fetch_add(1, kRelaxed);
  return {Look::kRefused, filled.error().message};
}

}  // namespace limpet::worker
