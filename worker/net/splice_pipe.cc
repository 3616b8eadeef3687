#include "worker/net/splice_pipe.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace limpet::worker {

std::unique_ptr<SplicePipe> SplicePipes::Take() {
  if (!free_.empty()) {
    std::unique_ptr<SplicePipe> pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<SplicePipe>();
  pipe->read_end = std::make_shared<const UniqueFd>(UniqueFd(ends[0]));
  pipe->write_end.Reset(ends[1]);
  // Refused beyond the user's share of pipe memory: a smaller pipe works, too.
  [[maybe_unused]] const int granted =
      ::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(SplicePipe::kCapacity));
  return pipe;
}

void SplicePipes::Return(std::unique_ptr<SplicePipe> pipe) {
  int left = 0;
  if (free_.size() >= kKept || ::ioctl(pipe->read_end->get(), FIONREAD, &left) != 0 || left != 0)
    return;
  free_.push_back(std::move(pipe));
}

}  // namespace limpet::worker
