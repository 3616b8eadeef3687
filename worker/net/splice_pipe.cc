#include "worker/net/splice_pipe.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace limpet::worker {
namespace {

bool IsEmpty(const SplicePipe& pipe) {
  int left = 0;
  return ::ioctl(pipe.read_end->get(), FIONREAD, &left) == 0 && left == 0;
}

bool IsBeingEmptied(const SplicePipe& pipe) { return pipe.read_end.use_count() > 1; }

// The system grants a user's processes so many pages; beyond that pipes are as small as can be.
bool Enlarge(int pipe) {
  if (::fcntl(pipe, F_SETPIPE_SZ, static_cast<int>(SplicePipe::kCapacity)) >= 0) return true;
  return ::fcntl(pipe, F_GETPIPE_SZ) >= static_cast<int>(SplicePipe::kLeast);
}

// A quarter of the descriptors, two each: connections do not count them.
size_t MostLive() {
  constexpr rlim_t kMost = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<size_t>(std::min(limit.rlim_cur / 8, kMost));
}

}  // namespace

std::unique_ptr<SplicePipe> SplicePipes::Take() {
  constexpr size_t kLooks = 4;
  for (size_t left = std::min(free_.size(), kLooks); left > 0; --left) {
    std::unique_ptr<SplicePipe> pipe = std::move(free_.front());
    free_.pop_front();
    if (IsEmpty(*pipe)) return pipe;
    if (IsBeingEmptied(*pipe)) free_.push_back(std::move(pipe));
  }
  int ends[2];
  if (live_ >= MostLive() || ::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<SplicePipe>(&live_);
  pipe->read_end = std::make_shared<const UniqueFd>(UniqueFd(ends[0]));
  pipe->write_end.Reset(ends[1]);
  return Enlarge(ends[1]) ? std::move(pipe) : nullptr;
}

// Its last bytes may still be on their way: by the time it is taken, they have gone.
void SplicePipes::Return(std::unique_ptr<SplicePipe> pipe) {
  if (free_.size() < kKept && (IsBeingEmptied(*pipe) || IsEmpty(*pipe)))
    free_.push_back(std::move(pipe));
}

}  // namespace limpet::worker
