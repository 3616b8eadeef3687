// What one binary tells the next: LIMPET_SOCKETS in the first line, the notes behind it. Whatever
// it is: no descriptor is closed that is somebody else's, what is known of servers can be told
// again and balanced with.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "master/handover.h"
#include "master/inheritance.h"
#include "master/peer_memory.h"
#include "shm/peer_state_registry.h"
#include "tests/fuzz/fuzz.h"
#include "worker/upstream/upstream_group.h"
#include "worker/worker.h"

using namespace limpet;
using namespace limpet::master;

namespace {

constexpr int kFirstFd = 100;  // of those that an input may name
constexpr int kSocketFd = kFirstFd, kFileFd = kFirstFd + 1;
constexpr int kZoneFd = kFirstFd + 2, kOtherZoneFd = kFirstFd + 3, kNotesFd = kFirstFd + 4;
constexpr size_t kZoneSize = 4096;

constexpr const char* kText = R"(
  events {}
  http {
    upstream app {
      zone app 64k;
      resolver 127.0.0.1;
      server 10.0.0.1:80 weight=3;
      server 10.0.0.2:80 max_fails=2 slow_start=10s;
      server 10.0.0.3:80;
      server web.test resolve;
      server more.test service=http resolve;
    }
    server { listen 127.0.0.1:80; location / { proxy_pass http://app; } }
  }
)";

const conf::Config& Configuration() {
  static const auto config = *conf::LoadText(kText, {.prefix = "/nowhere/", .file = "t.conf"});
  return *config;
}
const conf::Upstream& Upstream() { return *Configuration().http->upstreams[0]; }

ino_t InodeOf(int fd) {
  struct stat there {};
  return ::fstat(fd, &there) == 0 ? there.st_ino : 0;
}

// Puts `made` at the place of `fd`.
void Place(int made, int fd) {
  ::dup2(made, fd);
  ::close(made);
}

int MemoryFile(std::string_view content, size_t size) {
  const int fd = ::memfd_create("fuzz", 0);
  FUZZ_CHECK(::write(fd, content.data(), content.size()) == std::ssize(content) &&
                 ::ftruncate(fd, static_cast<off_t>(size)) == 0,
             "no memory for a file");
  return fd;
}

// The descriptors that an input may speak of, and those that it must leave alone.
class Descriptors {
 public:
  explicit Descriptors(std::string_view notes) {
    Place(::socket(AF_INET, SOCK_STREAM, 0), kSocketFd);
    Place(::open("/dev/null", O_RDWR), kFileFd);
    for (const int fd : {kZoneFd, kOtherZoneFd}) Place(MemoryFile({}, kZoneSize), fd);
    Place(MemoryFile(notes, notes.size()), kNotesFd);
    for (const int fd : kOthers) inodes_.push_back(InodeOf(fd));
  }
  ~Descriptors() {
    for (int fd = kFirstFd; fd <= kNotesFd; ++fd) ::close(fd);
  }
  void CheckOthers() const {
    for (size_t i = 0; i < std::size(kOthers); ++i) {
      FUZZ_CHECK(InodeOf(kOthers[i]) == inodes_[i], "somebody else's descriptor was closed");
    }
  }

 private:
  static constexpr int kOthers[] = {0, 1, 2, kSocketFd, kFileFd};
  std::vector<ino_t> inodes_;
};

Handover ReadEnvironment(const std::string& sockets) {
  ::setenv("LIMPET_SOCKETS", sockets.c_str(), 1);
  ::setenv("LIMPET_NOTES", std::to_string(kNotesFd).c_str(), 1);
  return Handover::FromEnvironment();
}

void CheckEnvironment(const std::string& sockets, std::string_view notes) {
  const Handover handover = ReadEnvironment(sockets);
  std::set<int> seen;
  for (const int fd : handover.sockets()) {
    FUZZ_CHECK(fd > STDERR_FILENO && ::fcntl(fd, F_GETFD) >= 0, "a socket that is not open");
    FUZZ_CHECK(seen.insert(fd).second, "a socket with two owners");
  }
  FUZZ_CHECK(handover.notes() == (handover.from_master() ? notes : ""), "other notes");
}

void CheckZones(std::string_view notes) {
  Inheritance inherited(notes);
  FUZZ_CHECK(inherited.first_slot() >= 0, "slots begin at 0");
  const ZoneLabel label{
      .directive = "limit_req", .name = "one", .size = kZoneSize, .layout = 1, .key = "$uri"};
  const auto zone = inherited.TakeZone(label);
  if (zone) FUZZ_CHECK(zone->size() == kZoneSize, "a zone of another size");
}

// The states of one process's servers.
class Peers {
 public:
  Peers() {
    view_.peer_states.push_back(registry_.Attach("app", worker::PeerIdentities(Upstream()),
                                                 worker::ResolvedNames(Upstream()), 64));
  }
  void Recall(std::string_view notes) { RecallPeers(notes, Configuration(), view_); }
  // In an order of its own: peers that names give have none.
  std::string Tell() const {
    const std::string told = TellPeers(Configuration(), view_);
    std::vector<std::string_view> lines = Split(told, '\n');
    std::ranges::sort(lines);
    std::string text;
    for (const std::string_view line : lines) text.append(line).append("\n");
    return text;
  }
  void Balance() {
    worker::UpstreamGroup group(Upstream(), view_.peer_states[0].get(), 0);
    for (uint64_t now_ms = 1'000'000; now_ms < 1'000'016; ++now_ms) {
      worker::PeerSelection selection;
      group.Begin(selection);
      if (group.Choose(selection, nullptr, now_ms) == nullptr) continue;
      group.Done(selection, worker::Outcome::kOk, now_ms);
    }
  }

 private:
  shm::PeerStateRegistry registry_;
  SharedMemory::View view_;
};

void CheckPeers(std::string_view notes) {
  Peers first, second;
  first.Recall(notes);
  const std::string told = first.Tell();
  second.Recall(told);
  FUZZ_CHECK(second.Tell() == told, "what is told is not what is recalled");
  first.Balance();
}

}  // namespace

FUZZ_TARGET(handover, input) {
  const size_t end = input.find('\n');
  const std::string sockets(input.substr(0, end));
  const std::string_view notes = end == input.npos ? "" : input.substr(end + 1);
  const Descriptors descriptors(notes);
  CheckEnvironment(sockets, notes);
  CheckZones(notes);
  descriptors.CheckOthers();
  CheckPeers(notes);
}
