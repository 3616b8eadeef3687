#include "tests/fuzz/worker/origin.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/socket_address.h"
#include "tests/fuzz/fuzz.h"

namespace limpet::fuzz {
namespace {

UniqueFd ListenAt(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ::unlink(path.c_str());
  const SocketAddress address = SocketAddress::Unix(path);
  FUZZ_CHECK(::bind(fd.get(), address.get(), address.size()) == 0 && ::listen(fd.get(), 64) == 0,
             "the upstream server cannot listen");
  return fd;
}

}  // namespace

class Origin::Connection {
 public:
  Connection(Origin& origin, UniqueFd fd)
      : origin_(origin),
        fd_(std::move(fd)),
        watch_(origin.loop_, fd_.get(), worker::Callback::To<&Connection::OnReadable>(this)) {
    watch_.Start();
  }
  void Close() {
    watch_.Stop();
    fd_.Reset();
  }
  const std::string& received() const { return received_; }

 private:
  void OnReadable() {
    char bytes[4096];
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n <= 0) return Close();
    received_.append(bytes, static_cast<size_t>(n));
    if (std::exchange(answered_, true)) return;
    const std::string& answer = origin_.answer_;
    (void)!::send(fd_.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  Origin& origin_;
  UniqueFd fd_;
  worker::FdWatch watch_;
  std::string received_;
  bool answered_ = false;
};

Origin::Origin(worker::Loop& loop)
    : loop_(loop),
      path_(fmt::format("/tmp/limpet-fuzz.{}.sock", ::getpid())),
      listen_(ListenAt(path_)),
      watch_(loop, listen_.get(), worker::Callback::To<&Origin::OnConnection>(this)) {
  watch_.Start();
}

Origin::~Origin() {
  watch_.Stop();
  ::unlink(path_.c_str());
}

void Origin::Begin(std::string_view answer) {
  connections_.clear();
  answer_ = answer;
}

void Origin::CloseAll() {
  for (const auto& connection : connections_) connection->Close();
}

size_t Origin::received() const {
  size_t sum = 0;
  for (const auto& connection : connections_) sum += connection->received().size();
  return sum;
}

std::vector<std::string> Origin::Requests() const {
  std::vector<std::string> requests;
  for (const auto& connection : connections_) requests.push_back(connection->received());
  return requests;
}

void Origin::OnConnection() {
  UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd) connections_.push_back(std::make_unique<Connection>(*this, std::move(fd)));
}

}  // namespace limpet::fuzz
