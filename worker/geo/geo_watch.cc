#include "worker/geo/geo_watch.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace limpet::worker {
namespace {

constexpr std::chrono::milliseconds kSoon{1000};  // while the file is being written

// Threads inherit the mask: signals are the loop's.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

GeoWatch::GeoWatch(Loop& loop, GeoFile& file, std::chrono::milliseconds interval, const Log& log,
                   shm::AlertRing& alerts, Callback looked)
    : file_(file),
      interval_(interval),
      log_(log),
      alerts_(alerts),
      looked_(looked),
      timer_(loop, Callback::To<&GeoWatch::OnTimer>(this)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      woken_(loop, wake_.get(), Callback::To<&GeoWatch::OnLooked>(this)) {}

GeoWatch::~GeoWatch() {
  stop_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void GeoWatch::OnTimer() {
  const NoSignals while_it_begins;
  woken_.Start();
  try {
    thread_ = std::thread([this] {
      renewal_ = file_.Renew(stop_);
      ::eventfd_write(wake_.get(), 1);
    });
  } catch (const std::system_error& error) {
    woken_.Stop();
    LIMPET_LOG(log_, LogLevel::kError, "no thread to look at \"{}\": {}", file_.path(),
               error.what());
    timer_.Arm(interval_);
  }
}

void GeoWatch::OnLooked() {
  eventfd_t count = 0;
  ::eventfd_read(wake_.get(), &count);
  woken_.Stop();
  thread_.join();
  Report();
  timer_.Arm(renewal_.look == GeoFile::Look::kLater ? std::min(interval_, kSoon) : interval_);
  looked_();
}

void GeoWatch::Report() {
  if (renewal_.look == GeoFile::Look::kReplaced) {
    LIMPET_LOG(log_, LogLevel::kNotice, "geoip2 database \"{}\" has been read again", file_.path());
  } else if (renewal_.look == GeoFile::Look::kRefused) {
    LIMPET_LOG(log_, LogLevel::kError, "{}; what was read before is used on", renewal_.text);
    alerts_.Add(LogLevel::kError, renewal_.text);
  }
}

}  // namespace limpet::worker
