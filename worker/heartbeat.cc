#include "worker/heartbeat.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <memory>

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kBeatMs = 1000;
constexpr uint64_t kBeatsPerWalk = 10;  // walking through a directory takes time: not every second
constexpr const char* kOwnFiles = "/proc/self/fd";

uint64_t FileLimit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

// Linux 6.2 and later say the number as the directory's size; 0: this kernel does not.
uint64_t FilesBySize() {
  struct stat found {};
  return ::stat(kOwnFiles, &found) == 0 ? static_cast<uint64_t>(found.st_size) : 0;
}

uint64_t FilesByWalk() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(kOwnFiles), ::closedir);
  if (directory == nullptr) return 0;
  uint64_t entries = 0;
  while (::readdir(directory.get()) != nullptr) ++entries;
  constexpr uint64_t kNoneOfThem = 3;  // ".", "..", and the directory itself
  return entries > kNoneOfThem ? entries - kNoneOfThem : 0;
}

}  // namespace

Heartbeat::Heartbeat(Loop& loop, shm::WorkerPulse& pulse, const conf::Config& config)
    : loop_(loop), pulse_(pulse), timer_(loop, Callback::To<&Heartbeat::Beat>(this)) {
  pulse_.connections_max.store(static_cast<uint64_t>(config.worker_connections), kRelaxed);
  pulse_.files_max.store(FileLimit(), kRelaxed);
}

void Heartbeat::Start() { Beat(); }

void Heartbeat::Beat() {
  CountFiles();
  pulse_.connections.store(loop_.places().taken(), kRelaxed);
  ++beats_;
  pulse_.beat_ms.store(loop_.NowMs(), kRelaxed);
  timer_.Arm(kBeatMs);
}

void Heartbeat::CountFiles() {
  if (const uint64_t files = FilesBySize(); files > 0) return pulse_.files.store(files, kRelaxed);
  if (beats_ % kBeatsPerWalk == 0) pulse_.files.store(FilesByWalk(), kRelaxed);
}

}  // namespace limpet::worker
