#include "master/listeners.h"

#include <fmt/core.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "master/file_place.h"
#include "master/socket_options.h"

namespace limpet::master {
namespace {

constexpr int kBindTries = 5;
constexpr auto kBindPause = std::chrono::milliseconds(500);

// Opens what a configuration needs, taking sockets over where the address is the same.
class Opener {
 public:
  Opener(std::vector<ListenSocketPtr> before, Listeners::OnBusy on_busy, const Log& log)
      : before_(std::move(before)), on_busy_(on_busy), log_(log) {}

  Result<std::vector<ListenSocketPtr>> Group(const conf::Listen& listen, int workers) {
    const auto wanted = static_cast<size_t>(listen.reuseport ? workers : 1);
    std::vector<ListenSocketPtr> group;
    for (;;) {
      ListenSocketPtr socket = TakeOver(listen);
      if (!socket) {
        if (group.size() >= wanted) return group;
        auto fd = Bind(listen);
        if (!fd) return fd.error();
        socket = std::make_shared<ListenSocket>(std::move(*fd), listen.address);
      }
      if (auto status = StartListening(socket->fd(), listen, log_); !status) return status.error();
      group.push_back(std::move(socket));
    }
  }

 private:
  ListenSocketPtr TakeOver(const conf::Listen& listen) {
    const auto found = std::ranges::find_if(before_, [&](const ListenSocketPtr& socket) {
      return socket->address() == listen.address;
    });
    if (found == before_.end()) return nullptr;
    ListenSocketPtr socket = *found;
    before_.erase(found);
    // Must be set on the first socket too, or the others cannot be bound beside it.
    if (listen.reuseport && !listen.address.is_unix()) (void)AllowSharing(socket->fd());
    return socket;
  }

  Result<UniqueFd> Bind(const conf::Listen& listen) {
    const int tries = on_busy_ == Listeners::OnBusy::kRetry ? kBindTries : 1;
    for (int i = 1;; ++i) {
      auto fd = BindSocket(listen, log_);
      if (fd || fd.error().code.value() != EADDRINUSE || tries == 1) return fd;
      if (i == tries)
        return Error{fd.error().code, fd.error().message + ", still could not bind()"};
      LIMPET_LOG(log_, LogLevel::kEmerg, "{}", fd.error().message);
      std::this_thread::sleep_for(kBindPause);  // at start only: nothing is served yet
    }
  }

  std::vector<ListenSocketPtr> before_;
  Listeners::OnBusy on_busy_;
  const Log& log_;
};

// One socket is everybody's. Of several, each has one worker, and a worker without any shares one.
bool Serves(int number, int workers, size_t socket, size_t sockets) {
  const auto own = static_cast<size_t>(number);
  if (sockets == 1) return true;
  const auto all = static_cast<size_t>(workers);
  return all <= sockets ? socket % all == own : socket == own % sockets;
}

}  // namespace

ListenSocket::ListenSocket(UniqueFd fd, const SocketAddress& address)
    : fd_(std::move(fd)), address_(address), owner_(::getpid()) {}

ListenSocket::~ListenSocket() {
  if (!address_.is_unix() || owner_ != ::getpid()) return;
  ::unlink(reinterpret_cast<const sockaddr_un*>(address_.get())->sun_path);
}

void ListenSocket::AdoptFile() { owner_ = ::getpid(); }

Result<Listeners> Listeners::Open(const conf::Config& config, const Listeners& before,
                                  OnBusy on_busy, const Log& log) {
  Listeners result;
  if (!config.http) return result;
  Opener opener(before.All(), on_busy, log);
  for (const conf::ListenGroup& group : config.http->listens) {
    result.groups_.emplace_back();
    if (group.served_by >= 0) continue;  // by the socket on every address of the port
    auto sockets = opener.Group(group.listen, config.worker_processes);
    if (!sockets) return sockets.error();
    result.groups_.back() = std::move(*sockets);
  }
  return result;
}

Status Listeners::TryBind(const conf::Config& config) {
  if (!config.http) return {};
  for (const conf::ListenGroup& group : config.http->listens) {
    if (group.served_by >= 0) continue;
    if (group.listen.address.is_unix()) {  // bound, it would leave its file behind
      const std::string name = group.listen.address.ToString();
      const int errnum = ObstacleTo(name.substr(std::string_view("unix:").size()));
      if (errnum == 0 || errnum == EISDIR) continue;
      return ErrnoError(fmt::format("bind() to {} failed", name), errnum);
    }
    const auto fd = BindSocket(group.listen, Log());
    if (!fd && fd.error().code.value() != EADDRINUSE) return fd.error();
  }
  return {};
}

std::vector<std::vector<int>> Listeners::ForWorker(int number, int workers) const {
  std::vector<std::vector<int>> result;
  for (const Group& group : groups_) {
    std::vector<int>& fds = result.emplace_back();
    for (size_t i = 0; i < group.size(); ++i) {
      if (Serves(number, workers, i, group.size())) fds.push_back(group[i]->fd());
    }
  }
  return result;
}

void Listeners::CloseAllBut(int number, int workers) {
  for (Group& group : groups_) {
    for (size_t i = 0; i < group.size(); ++i) {
      if (!Serves(number, workers, i, group.size())) group[i]->Close();
    }
  }
}

void Listeners::Close() { groups_.clear(); }

void Listeners::AdoptFiles() {
  for (const ListenSocketPtr& socket : All()) socket->AdoptFile();
}

void Listeners::LeaveFiles() {
  for (const ListenSocketPtr& socket : All()) socket->LeaveFile();
}

std::vector<ListenSocketPtr> Listeners::All() const {
  std::vector<ListenSocketPtr> all;
  for (const Group& group : groups_) all.insert(all.end(), group.begin(), group.end());
  return all;
}

Listeners Listeners::Adopt(const std::vector<int>& fds) {
  Listeners result;
  for (const int fd : fds) {
    SocketAddress address;
    socklen_t size = address.capacity();
    int listens = 0;
    socklen_t length = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0)
      continue;
    if (::getsockname(fd, address.get(), &size) != 0) continue;
    address.set_size(size);
    (void)SetNonBlocking(fd);  // systemd's may block
    auto socket = std::make_shared<ListenSocket>(UniqueFd(fd), address);
    socket->LeaveFile();
    result.groups_.push_back({std::move(socket)});
  }
  return result;
}

}  // namespace limpet::master
