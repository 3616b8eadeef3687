#include "worker/acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <string>

#include "proto/proxy_protocol.h"
#include "worker/http/log/connection_log.h"
#include "worker/net/local_address.h"
#include "worker/net/plain_transport.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

namespace {

// What is wrong with a PROXY header that is none.
std::string Describe(std::string_view data) {
  constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);  // of version 2
  if (data.starts_with(kSignature) && data.size() > kSignature.size()) {
    const int version = static_cast<unsigned char>(data[kSignature.size()]) >> 4;
    if (version != 2) return fmt::format("unknown PROXY protocol version: {}", version);
  }
  return fmt::format("broken header: \"{}\"", data.substr(0, data.find_first_of("\r\n")));
}

}  // namespace

// Waits for the PROXY header of a connection. What comes is peeked at, and taken as far as it
// belongs to the header: what follows may be TLS.
class Acceptor::PendingProxy final : public Deletable {
 public:
  PendingProxy(Acceptor& owner, UniqueFd fd, ClientInfo info)
      : owner_(owner),
        fd_(std::move(fd)),
        info_(std::move(info)),
        active_(owner.runtime_.own_counters.active),
        connections_(owner.connections_),
        place_(owner.runtime_.loop.places()),
        watch_(owner.runtime_.loop, fd_.get(), Callback::To<&PendingProxy::OnReadable>(this)),
        timer_(owner.runtime_.loop, Callback::To<&PendingProxy::OnTimeout>(this)) {
    ++active_;
    connections_.Await();
    place_.SetIdle(Callback::To<&PendingProxy::End>(this));
    watch_.Start();
    const uint64_t patience = Ms(info_.listen->default_server->head.client_header_timeout);
    timer_.Arm(watch_.started() ? patience : 1);  // what cannot be watched is not heard
  }
  ~PendingProxy() override {
    --active_;
    connections_.EndWait();
  }

  std::list<std::unique_ptr<PendingProxy>>::iterator at;  // in the owner's

 private:
  void OnReadable() {
    const size_t taken = header_.size();
    const ssize_t n = Receive(kMostBytes - taken, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n == 0 && taken > 0) return Refuse(Describe(header_));  // the rest does not come
    if (n <= 0) return End();
    header_.append(received_.data(), static_cast<size_t>(n));
    size_t consumed = 0;
    auto proxy_info = std::make_unique<proto::ProxyInfo>();
    switch (proto::ParseProxyHeader(header_, proxy_info.get(), &consumed)) {
      case proto::ProxyStatus::kIncomplete:
        if (header_.size() == kMostBytes) return Refuse("header is too large");
        Receive(header_.size() - taken, 0);
        return;
      case proto::ProxyStatus::kError:
        return Refuse(Describe(header_));
      case proto::ProxyStatus::kComplete:
        break;
    }
    Receive(consumed - taken, 0);
    info_.proxy_info = std::move(proxy_info);
    UniqueFd fd = std::move(fd_);
    End();
    owner_.Proceed(std::move(fd), std::move(info_));
  }

  ssize_t Receive(size_t size, int flags) {
    return ::recv(fd_.get(), received_.data(), size, flags);
  }

  void Refuse(const std::string& why) {
    LogConnection(owner_.runtime_, info_, LogLevel::kError, why + " while reading PROXY protocol");
    Receive(kMostBytes, 0);  // what is left unread would make the kernel reset the connection
    End();
  }

  void OnTimeout() {
    LogConnection(owner_.runtime_, info_, LogLevel::kInfo,
                  "client timed out" + ErrnoText(ETIMEDOUT) + " while reading PROXY protocol");
    End();
  }

  void End() {
    watch_.Stop();
    place_.Release();
    fd_.Reset();
    owner_.Forget(this);
  }

  static constexpr size_t kMostBytes = 4096;  // a longer header is refused
  // Of the call under way: a worker has one thread.
  static inline std::array<char, kMostBytes> received_;

  Acceptor& owner_;
  UniqueFd fd_;
  ClientInfo info_;
  std::atomic<int64_t>& active_;
  ConnectionSet& connections_;
  Place place_;
  std::string header_;  // as far as it has come
  FdWatch watch_;
  Timer timer_;
};

Acceptor::Acceptor(Runtime& runtime, ConnectionSet& connections, const conf::ListenGroup& group,
                   TlsContexts& tls, int fd, AcceptShare* share)
    : runtime_(runtime),
      connections_(connections),
      group_(group),
      tls_(tls),
      share_(share),
      listener_(runtime.loop, fd, group.listen.address, *this, runtime.logs[0]) {
  const auto& groups = runtime.http.listens;
  for (const conf::ListenGroup& other : groups) {
    if (other.served_by == &group - groups.data()) served_.push_back(&other);
  }
}

Acceptor::~Acceptor() = default;

const conf::ListenGroup& Acceptor::GroupOf(int fd) const {
  if (served_.empty()) return group_;
  const auto local = LocalAddressOf(fd);
  const auto is_it = [&](const auto* group) {
    return local != nullptr && group->listen.address == *local;
  };
  const auto found = std::ranges::find_if(served_, is_it);
  return found == served_.end() ? group_ : **found;
}

void Acceptor::CloseNow() { pending_.clear(); }

void Acceptor::Forget(PendingProxy* pending) {
  std::unique_ptr<PendingProxy> owned = std::move(*pending->at);
  pending_.erase(pending->at);
  runtime_.loop.DeleteLater(std::move(owned));
}

bool Acceptor::MayAccept(Listener& /*listener*/) {
  return share_ == nullptr || share_->MayAccept(runtime_.loop.NowMs());
}

void Acceptor::OnAccepted(Listener& /*listener*/, UniqueFd fd, const SocketAddress& client) {
  runtime_.own_counters.accepted.fetch_add(1, std::memory_order_relaxed);
  if (!runtime_.loop.places().MakeRoom()) {
    LIMPET_LOG(runtime_.logs[0], LogLevel::kAlert, "{} worker_connections are not enough",
               runtime_.config.worker_connections);
    return listener_.Pause();
  }
  ClientInfo info;
  info.number = runtime_.next_connection_number();
  info.remote = client;
  info.remote_host = client.HostString();
  info.started_ms = runtime_.loop.NowMs();
  info.listen = &GroupOf(fd.get());
  info.ssl = info.listen->listen.ssl;
  if (info.listen->listen.proxy_protocol) {
    pending_.push_back(std::make_unique<PendingProxy>(*this, std::move(fd), std::move(info)));
    pending_.back()->at = std::prev(pending_.end());
    return;
  }
  Proceed(std::move(fd), std::move(info));
}

void Acceptor::Proceed(UniqueFd fd, ClientInfo info) {
  std::unique_ptr<Transport> transport;
  if (info.ssl) {
    TlsListen* tls = tls_.For(*info.listen);
    if (tls == nullptr) return;
    transport = TlsTransport::Accept(runtime_.loop, std::move(fd), tls->default_context(), tls);
  } else {
    transport = PlainTransport::Adopt(runtime_.loop, std::move(fd));
  }
  if (transport == nullptr) return;
  connections_.Add(std::move(transport), std::move(info));
  runtime_.own_counters.handled.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace limpet::worker
