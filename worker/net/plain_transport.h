// TCP and Unix-domain streams without TLS.
#pragma once

#include <memory>

#include "worker/net/transport.h"

namespace limpet::worker {

struct ConnectOptions {
  const SocketAddress* bind = nullptr;  // proxy_bind
  bool transparent = false;             // proxy_bind … transparent: the address need not be ours
  bool keepalive = false;               // SO_KEEPALIVE (proxy_socket_keepalive)
  int send_buffer = 0;                  // SO_SNDBUF; 0: the system's
};

// A socket that connects, before anything reads its events. No descriptor: `what` has failed.
struct ConnectingSocket {
  UniqueFd fd;
  int errnum = 0;  // 0: connected; EINPROGRESS; else why it has failed
  const char* what = "connect()";
  bool ours = false;  // it failed before the peer was asked: no descriptor is left, no such address
};
ConnectingSocket StartConnect(const SocketAddress& address, const ConnectOptions& options);

class PlainTransport final : public Transport {
 public:
  // An accepted descriptor (non-blocking), which has its listening socket's options (TCP_NODELAY),
  // or one end of a socket pair.
  static std::unique_ptr<PlainTransport> Adopt(Loop& loop, UniqueFd fd);

  // Starts to connect. `errnum`: 0 it is established; EINPROGRESS: the handler's OnReady follows;
  // else it has failed at once (then there is no transport), and `what` names the call that failed:
  // "socket()", "bind(A)" or "connect()".
  struct Connecting {
    std::unique_ptr<PlainTransport> transport;
    int errnum = 0;
    const char* what = "connect()";
    bool ours = false;  // the peer is not to blame: as of ConnectingSocket
  };
  static Connecting Connect(Loop& loop, const SocketAddress& address, const ConnectOptions& options,
                            TransportHandler* handler);

  Io Read(char* data, size_t size, size_t* n) override;
  Io Writev(const iovec* pieces, int count, bool more, size_t* n) override;
  Io SendFile(int file, off_t offset, size_t size, size_t* n) override;
  bool can_splice() const override { return true; }
  Io SpliceTo(int pipe, size_t size, size_t* n) override;
  Io SpliceFrom(int pipe, size_t size, bool more, size_t* n) override;
  bool StillIdle() override;

 private:
  using Transport::Transport;
  void AdvanceSetup() override;
};

}  // namespace limpet::worker
