#include "worker/net/listener.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/exhausted.h"

namespace limpet::worker {

Listener::Listener(Loop& loop, int fd, const SocketAddress& local, ListenerHandler& handler,
                   const Log& log)
    : fd_(fd),
      local_(local),
      handler_(handler),
      log_(log),
      watch_(loop, fd, Callback::To<&Listener::OnReadable>(this)),
      resume_(loop, Callback::To<&Listener::Start>(this)) {}

// Where it cannot be watched now, it is tried again: nobody else would ever begin to.
void Listener::Start() {
  resume_.Disarm();
  watch_.Start();
  if (watch_.started()) return;
  LIMPET_LOG(log_, LogLevel::kAlert, "epoll_ctl() of {} failed{}", local_.ToString(),
             ErrnoText(errno));
  resume_.Arm(kPauseMs);
}

void Listener::Stop() {
  resume_.Disarm();
  watch_.Stop();
}

void Listener::Pause(uint64_t ms) {
  watch_.Stop();
  resume_.Arm(ms);
}

void Listener::OnReadable() {
  for (int i = 0; i < per_wakeup_ && watch_.started(); ++i) {
    if (!handler_.MayAccept(*this)) return Pause(kStandBackMs);
    if (!AcceptOne()) {
      per_wakeup_ = std::max(i, 1);
      full_wakeups_ = 0;
      return;
    }
  }
  if (++full_wakeups_ < kPatience) return;
  full_wakeups_ = 0;
  per_wakeup_ = std::min(per_wakeup_ * 2, kMostPerWakeup);
}

bool Listener::AcceptOne() {
  SocketAddress client;
  socklen_t size = client.capacity();
  UniqueFd fd(::accept4(fd_, client.get(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    OnAcceptError(errno);
    return false;
  }
  client.set_size(size);
  handler_.OnAccepted(*this, std::move(fd), client);
  return true;
}

void Listener::OnAcceptError(int errnum) {
  if (errnum == EAGAIN || errnum == EINTR) return;  // another worker was faster
  const bool exhausted = IsExhausted(errnum);
  const LogLevel level = errnum == ECONNABORTED ? LogLevel::kError
                         : exhausted            ? LogLevel::kCrit
                                                : LogLevel::kAlert;
  LIMPET_LOG(log_, level, "accept4() failed{}", ErrnoText(errnum));
  if (exhausted) Pause();
}

}  // namespace limpet::worker
