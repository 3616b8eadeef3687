// bare_relay FILE: bytes from each client of a port to a connection of its own to another port, and
// back; the file has the two numbers. It parses nothing: what it costs is the system calls of any
// proxy on kept connections.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace limpet::bench {
namespace {

struct Pair;

// One of the two connections of a pair.
struct End {
  UniqueFd fd;
  Pair* pair = nullptr;
  End* other = nullptr;
};

struct Pair {
  End client, back;
};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = ::htons(static_cast<uint16_t>(port))};
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  return address;
}

class Relay {
 public:
  Relay(int port, int back) : back_(Loopback(back)), epoll_(::epoll_create1(0)) {
    listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const int one = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const sockaddr_in at = Loopback(port);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener_.get(), 4096) != 0)
      Die("listen");
    Watch(listener_.get(), EPOLLIN, nullptr);
  }

  [[noreturn]] void Serve() {
    epoll_event events[512];
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events, 512, -1);
      for (int i = 0; i < count; ++i) {
        auto* const end = static_cast<End*>(events[i].data.ptr);
        end == nullptr ? Accept() : Forward(*end);
      }
      over_.clear();  // no event of theirs is left
    }
  }

 private:
  void Watch(int fd, uint32_t what, End* end) {
    epoll_event event{.events = what, .data = {.ptr = end}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
  }

  void Accept() {
    for (;;) {
      UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
      if (!client) return;
      UniqueFd back(::socket(AF_INET, SOCK_STREAM, 0));
      if (::connect(back.get(), reinterpret_cast<const sockaddr*>(&back_), sizeof back_) != 0)
        Die("connect");
      auto* const pair = new Pair;
      pair->client = {.fd = std::move(client), .pair = pair, .other = &pair->back};
      pair->back = {.fd = std::move(back), .pair = pair, .other = &pair->client};
      for (End* end : {&pair->client, &pair->back}) {
        const int one = 1;
        ::setsockopt(end->fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!SetNonBlocking(end->fd.get())) Die("fcntl");
        Watch(end->fd.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, end);
      }
    }
  }

  void Forward(End& from) {
    while (from.fd) {
      const ssize_t size = ::recv(from.fd.get(), buffer_, sizeof buffer_, 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0 || !Send(from.other->fd.get(), static_cast<size_t>(size))) return Close(from);
      if (static_cast<size_t>(size) < sizeof buffer_) return;  // the next byte is an event
    }
  }

  // Waits for a reader that is slow: so does everybody else.
  bool Send(int fd, size_t size) {
    for (size_t sent = 0; sent < size;) {
      const ssize_t n = ::send(fd, buffer_ + sent, size - sent, MSG_NOSIGNAL);
      if (n >= 0) {
        sent += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
        ::poll(&writable, 1, -1);
      } else {
        return false;
      }
    }
    return true;
  }

  void Close(End& end) {
    end.fd.Reset();
    end.other->fd.Reset();
    over_.emplace_back(end.pair);
  }

  const sockaddr_in back_;
  UniqueFd epoll_, listener_;
  std::vector<std::unique_ptr<Pair>> over_;
  char buffer_[65536];
};

}  // namespace
}  // namespace limpet::bench

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "");
  int port = 0, back = 0;
  if (!(file >> port >> back)) {
    std::fprintf(stderr, "usage: bare_relay FILE, which has two ports\n");
    return 2;
  }
  static limpet::bench::Relay relay(port, back);
  relay.Serve();
}
