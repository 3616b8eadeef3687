#include "tests/bench/load_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "tests/bench/forked.h"

namespace limpet::bench {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kPatience = 10 * kSecond;  // for answers, after the end
constexpr std::string_view kSession = "{session}";
constexpr std::string_view kEndOfHead = "\r\n\r\n";

struct FreeSession {
  void operator()(SSL_SESSION* session) const { ::SSL_SESSION_free(session); }
};
struct FreeTls {
  void operator()(SSL* tls) const { ::SSL_free(tls); }
};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

uint64_t Nanoseconds(double seconds) {
  return static_cast<uint64_t>(seconds * static_cast<double>(kSecond));
}

// Of a head whose status is 200; nothing for any other.
std::optional<size_t> LengthOfBody(std::string_view head) {
  constexpr std::string_view kStatus = "HTTP/1.1 200";
  constexpr std::string_view kName = "\r\ncontent-length:";
  if (!head.starts_with(kStatus)) return std::nullopt;
  for (size_t at = head.find('\r'); at != head.npos; at = head.find('\r', at + 1)) {
    const std::string_view line = head.substr(at);
    if (line.size() > kName.size() && ::strncasecmp(line.data(), kName.data(), kName.size()) == 0)
      return std::strtoull(line.data() + kName.size(), nullptr, 10);
  }
  return std::nullopt;
}

}  // namespace

struct LoadClient::Connection {
  UniqueFd fd;
  std::unique_ptr<SSL, FreeTls> tls;
  std::unique_ptr<SSL_SESSION, FreeSession> session;
  State state = State::kClosed;
  uint32_t number = 0;
  uint64_t due = 0;
  uint64_t free_since = 0;
  std::string head;  // what has come of one that is not complete
  size_t body = 0;   // bytes to come
};

LoadClient::LoadClient(const LoadOptions& options)
    : options_(options), epoll_(::epoll_create1(0)), buffer_(size_t{1} << 17) {
  ::prctl(PR_SET_TIMERSLACK, 1);  // 50 microseconds else, in every latency
  std::string request = "GET " + options_.path + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& header : options_.headers) request += header + "\r\n";
  request += options_.close ? "Connection: close\r\n\r\n" : "\r\n";
  const size_t at = request.find(kSession);
  before_ = request.substr(0, at);
  if (at != request.npos) after_ = request.substr(at + kSession.size());
  if (options_.tls) {
    context_.reset(::SSL_CTX_new(TLS_client_method()));
    ::SSL_CTX_set_read_ahead(context_.get(), 1);
    ::SSL_CTX_set_session_cache_mode(context_.get(),
                                     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    ::SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* tls, SSL_SESSION* session) noexcept {
      static_cast<Connection*>(SSL_get_app_data(tls))->session.reset(session);
      return 1;
    });
  }
  for (uint32_t number = 0; number < options_.connections; ++number) {
    idle_.push_back(connections_.emplace_back(std::make_unique<Connection>()).get());
    idle_.back()->number = number;
  }
}

LoadClient::~LoadClient() = default;

LoadFigures LoadClient::Run(double seconds, uint64_t requests) {
  const uint64_t begin = NowNs();
  figures_ = {};
  started_ = 0;
  wanted_ = requests == 0 ? UINT64_MAX : requests;
  end_ = begin + Nanoseconds(seconds);
  next_due_ = begin + Gap();
  epoll_event events[256];
  for (uint64_t now = begin; now < end_ + kPatience; now = NowNs()) {
    StartDue(now);
    if (waiting_ == 0 && !WantsMore()) break;
    const bool starts = options_.rate > 0 && !idle_.empty() && WantsMore();
    const uint64_t until = starts ? std::max(next_due_, now) : now + kSecond / 10;
    const timespec timeout{.tv_sec = static_cast<time_t>((until - now) / kSecond),
                           .tv_nsec = static_cast<long>((until - now) % kSecond)};
    const int count = ::epoll_pwait2(epoll_.get(), events, 256, &timeout, nullptr);
    for (int i = 0; i < count; ++i)
      OnEvent(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
  }
  figures_.nanoseconds = std::min(NowNs(), end_) - begin;
  figures_.failed += waiting_;
  while (options_.rate > 0 && WantsMore()) {  // due, and never sent
    ++figures_.failed;
    next_due_ += Gap();
    ++started_;
  }
  return std::move(figures_);
}

bool LoadClient::WantsMore() const {
  return started_ < wanted_ && (options_.rate > 0 ? next_due_ < end_ : NowNs() < end_);
}

// Clients that know nothing of each other: their requests come at exponential intervals.
uint64_t LoadClient::Gap() {
  if (options_.rate <= 0) return 0;
  return Nanoseconds(std::exponential_distribution<double>(options_.rate)(random_));
}

void LoadClient::StartDue(uint64_t now) {
  while (!idle_.empty() && WantsMore() && (options_.rate <= 0 || next_due_ <= now)) {
    Connection& c = *idle_.front();
    idle_.pop_front();
    Start(c, options_.rate > 0 ? next_due_ : now);
    next_due_ += Gap();
    if (options_.rate > 0) now = NowNs();
  }
}

void LoadClient::Start(Connection& c, uint64_t due) {
  c.due = due;
  ++started_;
  ++waiting_;
  if (options_.rate > 0) figures_.lateness.push_back(NowNs() - std::max(due, c.free_since));
  c.state == State::kIdle ? Send(c) : Open(c);
}

void LoadClient::Open(Connection& c) {
  c.fd.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!c.fd) Die("socket");
  const int one = 1;
  ::setsockopt(c.fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(c.fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  sockaddr_in from{.sin_family = AF_INET, .sin_port = 0};  // many addresses: the ports last longer
  from.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK + 1 + c.number % 128);
  sockaddr_in to{.sin_family = AF_INET, .sin_port = ::htons(options_.port)};
  to.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  if (::bind(c.fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) Die("bind");
  if (::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
      errno != EINPROGRESS)
    Die("connect");
  c.state = State::kConnecting;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &c}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, c.fd.get(), &event) != 0) Die("epoll_ctl");
}

void LoadClient::OnEvent(Connection& c, uint32_t events) {
  if (c.state == State::kConnecting) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Fail(c);
    if (!options_.tls) return Send(c);
    c.state = State::kHandshake;
    c.tls.reset(::SSL_new(context_.get()));
    SSL_set_app_data(c.tls.get(), &c);
    ::SSL_set_fd(c.tls.get(), c.fd.get());
    ::SSL_set_connect_state(c.tls.get());
    if (options_.resume && c.session) ::SSL_set_session(c.tls.get(), c.session.get());
  }
  if (c.state == State::kHandshake) {
    if (Handshake(c)) Send(c);
  } else if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) {
    Receive(c);
  }
}

bool LoadClient::Handshake(Connection& c) {
  const int result = ::SSL_do_handshake(c.tls.get());
  if (result == 1) {
    ++figures_.handshakes;
    figures_.resumed += ::SSL_session_reused(c.tls.get()) != 0 ? 1 : 0;
    return true;
  }
  const int error = ::SSL_get_error(c.tls.get(), result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) Fail(c);
  return false;
}

std::string LoadClient::Request() {
  if (after_.empty()) return before_;
  if (!options_.values.empty())
    return before_ + options_.values[random_() % options_.values.size()] + after_;
  session_ = (options_.in_order ? session_ : random_()) % options_.sessions + 1;
  char digits[33];
  std::snprintf(digits, sizeof digits, "%032llx", static_cast<unsigned long long>(session_));
  return before_ + digits + after_;
}

void LoadClient::Send(Connection& c) {
  c.state = State::kWaiting;
  const std::string request = Request();  // far less than a socket takes at once
  const auto sent = options_.tls
                        ? ::SSL_write(c.tls.get(), request.data(), static_cast<int>(request.size()))
                        : ::send(c.fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) Fail(c);
}

// What recv(2) returns, in TLS and without.
ssize_t LoadClient::Read(Connection& c) {
  if (!options_.tls) return ::recv(c.fd.get(), buffer_.data(), buffer_.size(), 0);
  const int size = ::SSL_read(c.tls.get(), buffer_.data(), static_cast<int>(buffer_.size()));
  if (size > 0) return size;
  const int error = ::SSL_get_error(c.tls.get(), size);
  errno = EAGAIN;
  return error == SSL_ERROR_WANT_READ ? -1 : 0;
}

void LoadClient::Receive(Connection& c) {
  for (;;) {
    const ssize_t size = Read(c);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      if (c.state == State::kWaiting) return Fail(c);
      const bool was_ending = c.state == State::kEnding;
      Close(c);
      if (was_ending) Free(c);
      return;
    }
    const uint64_t due = c.due;
    if (c.state != State::kWaiting || !Take(c, static_cast<size_t>(size))) return Fail(c);
    const bool goes_on = c.state == State::kEnding || (c.state == State::kWaiting && c.due == due);
    if (!goes_on ||
        (!options_.tls && static_cast<size_t>(size) < buffer_.size() && c.state == State::kWaiting))
      return;  // the next byte is an event
  }
}

bool LoadClient::Take(Connection& c, size_t size) {
  std::string_view bytes(buffer_.data(), size);
  if (c.body == 0) {
    if (!c.head.empty()) bytes = c.head.append(bytes);
    const size_t end = bytes.find(kEndOfHead);
    if (end == bytes.npos) {
      if (c.head.empty()) c.head = bytes;
      return c.head.size() < buffer_.size();
    }
    const auto length = LengthOfBody(bytes.substr(0, end));
    const size_t rest = bytes.size() - end - kEndOfHead.size();
    if (!length || rest > *length) return false;
    c.body = *length - rest;
    c.head.clear();
  } else if (size > c.body) {
    return false;
  } else {
    c.body -= size;
  }
  if (c.body == 0) Answered(c);
  return true;
}

void LoadClient::Answered(Connection& c) {
  --waiting_;
  figures_.latencies.push_back(NowNs() - c.due);
  if (options_.close) {
    c.state = State::kEnding;  // it is the server's turn to close
  } else {
    c.state = State::kIdle;
    Free(c);
  }
}

void LoadClient::Free(Connection& c) {
  c.free_since = NowNs();
  if (options_.rate <= 0 && WantsMore()) return Start(c, c.free_since);
  idle_.push_back(&c);
}

void LoadClient::Close(Connection& c) {
  // To OpenSSL, a session whose connection has ended without a word is not to be resumed.
  if (c.tls) ::SSL_set_shutdown(c.tls.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  c.tls.reset();
  c.fd.Reset();
  c.head.clear();
  c.body = 0;
  c.state = State::kClosed;
}

void LoadClient::Fail(Connection& c) {
  if (c.state != State::kIdle && c.state != State::kEnding) --waiting_;
  const bool was_idle = c.state == State::kIdle;
  ++figures_.failed;
  Close(c);
  c.free_since = NowNs();
  if (!was_idle) idle_.push_back(&c);
}

}  // namespace limpet::bench
