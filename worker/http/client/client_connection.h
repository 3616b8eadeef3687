// A client's connection, whatever it speaks: its transport, the TLS handshake with its
// certificates, and who the client is. When bytes may flow, a session speaks HTTP/1 or HTTP/2 on
// it: what the handshake has negotiated, else what the first bytes say.
//
// Life: made on accept and owned by the worker's connection set. The session says End when it has
// let go of everything; the loop frees both after that.
#pragma once

#include <atomic>
#include <memory>

#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/runtime.h"
#include "worker/net/slice.h"
#include "worker/net/transport.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

class ConnectionSet;

// A protocol on a client's connection. It hears the transport from Start on.
class ClientSession : public TransportHandler, public Deletable {
 public:
  virtual void Start() = 0;
  // Graceful stop: no new request is begun, or the one that may be on its way is the last.
  virtual void CloseWhenIdle() = 0;
  virtual void CloseNow() = 0;  // worker_shutdown_timeout has passed
  virtual void OnTimer() = 0;   // of the connection
};

class ClientConnection final : public TransportHandler,
                               public CertificateGiver,
                               public Deletable,
                               public ListLink {  // of the set
 public:
  ClientConnection(ConnectionSet& set, Runtime& runtime, std::unique_ptr<Transport> transport,
                   ClientInfo info);
  ~ClientConnection() override;

  void Start();
  void CloseWhenIdle();
  void CloseNow();

  // --- For the session ---
  ConnectionSet& set() { return set_; }
  Runtime& runtime() { return runtime_; }
  Transport& transport() { return *transport_; }
  // After our end: reads what the client still sends, which nobody looks at. OpenSSL would have to
  // answer some of it (a change of keys), and cannot any more.
  Io ReadUnseen(char* data, size_t size, size_t* n);
  ClientInfo& info() { return info_; }
  const ClientInfo& info() const { return info_; }
  const TlsTransport* tls() const;   // null on a plain connection
  Timer& timer() { return timer_; }  // one deadline: the handshake's, then the session's
  // Moves it from one of the worker's gauges to another; null: none.
  using Gauge = std::atomic<int64_t> shm::WorkerCounters::*;
  void MoveGauge(Gauge from, Gauge to);
  // A line of level debug: what its session is about to do.
  [[gnu::cold]] void LogState(std::string_view protocol, std::string_view state) const;
  bool TcpInfo(tcp_info* out) const;  // false: not a TCP connection
  // Before it is closed under a request: asks the system for what the access log may tell of it.
  void KeepForLog();
  bool stopping() const { return stopping_ || runtime_.stopping; }
  // The client speaks HTTP/2 without TLS: the session of before has read `unread`, ends here, and
  // must not be used any more.
  void SpeakHttp2(Slice unread);
  void Close(bool reset);  // the transport, now; the session may still have something to end
  void End();              // nothing is left of the session: the connection goes

 private:
  // TransportHandler, until there is a session
  void OnReady(int errnum) override;
  void OnReadable() override {}
  void OnWritable() override {}
  void OnPlaceNeeded() override { EndHandshake(); }

  // CertificateGiver
  bool GiveCertificates(TlsTransport& transport, const TlsContext& context) override;

  void Speak(std::unique_ptr<ClientSession> session);
  void EndHandshake();
  void NoteTlsServer();
  void CountHandshake(int errnum);  // how it has ended, in the status zone of the server
  bool ContinueInPlain();
  void OnTimer();

  ConnectionSet& set_;
  Runtime& runtime_;
  std::unique_ptr<Transport> transport_;
  ClientInfo info_;
  Timer timer_;
  std::unique_ptr<ClientSession> session_;
  std::unique_ptr<tcp_info> kept_tcp_info_;
  bool stopping_ = false;
};

}  // namespace limpet::worker
