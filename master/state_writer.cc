#include "master/state_writer.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "master/process_title.h"

namespace limpet::master {
namespace {

constexpr uint64_t kLongestMs = 60'000;

}  // namespace

void StateWriter::Tick(uint64_t now_ms) {
  if (!end_at_ms_ || now_ms < *end_at_ms_) return;
  LIMPET_LOG(hooks_.log(), LogLevel::kError,
             "process {} takes too long to write state, it is ended", child_);
  ::kill(child_, SIGKILL);
  end_at_ms_.reset();
}

bool StateWriter::Start(uint64_t now_ms) {
  if (busy()) return true;
  std::fflush(nullptr);
  const pid_t master = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    LIMPET_LOG(hooks_.log(), LogLevel::kAlert, "fork() failed while writing state{}",
               ErrnoText(errno));
    return false;
  }
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    SetProcessTitle("state writer");
    ::_exit(::getppid() == master && hooks_.write() ? 0 : 1);
  }
  child_ = child;
  end_at_ms_ = now_ms + kLongestMs;
  return true;
}

bool StateWriter::Forget(pid_t dead) {
  if (dead != child_ || dead == 0) return false;
  child_ = 0;
  end_at_ms_.reset();
  return true;
}

void StateWriter::Stop() {
  const pid_t child = std::exchange(child_, 0);
  end_at_ms_.reset();
  if (child == 0) return;
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace limpet::master
