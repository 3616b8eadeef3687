// TLS over a TCP connection. The server side; Start begins the handshake, OnReady tells its end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "worker/net/transport.h"
#include "worker/tls/tls_context.h"

namespace limpet::worker {

class TlsTransport final : public Transport {
 public:
  // `selector` may be null: `context` serves every name. Both must outlive the handshake.
  static std::unique_ptr<TlsTransport> Accept(Loop& loop, UniqueFd fd, const TlsContext& context,
                                              SniSelector* selector);
  ~TlsTransport() override;

  int Start() override;  // EPROTO if the handshake failed at once
  Io Read(char* data, size_t size, size_t* n) override;
  Io Writev(const iovec* pieces, int count, bool more, size_t* n) override;
  Io SendFile(int file, off_t offset, size_t size, size_t* n) override;
  void ShutdownWrite() override;
  bool StillIdle() override;
  void Close() override;  // sends close_notify if it can be done at once
  std::string ErrorText() const override;
  bool is_tls() const override { return true; }

  // Of the finished handshake; for variables.
  std::string_view protocol() const;     // $ssl_protocol "TLSv1.3"
  std::string_view cipher() const;       // $ssl_cipher
  std::string_view server_name() const;  // $ssl_server_name, empty without SNI
  std::string_view alpn() const;         // $ssl_alpn_protocol
  bool session_reused() const;           // $ssl_session_reused
  std::string session_id() const;        // $ssl_session_id, hex

  // The client spoke plain HTTP to a TLS port (nginx answers 497/400): bytes are still unread on
  // fd().
  bool plain_http() const { return plain_http_; }

 private:
  TlsTransport(Loop& loop, UniqueFd fd, const TlsContext& context, SniSelector* selector);
  static int OnServerName(ssl_st* ssl, int* alert, void* unused) noexcept;
  friend class TlsContext;

  void AdvanceSetup() override;
  int DriveHandshake();  // 0, EINPROGRESS or an errno
  Io Translate(int result, bool reading);
  Io WriteRecord(const char* data, size_t size, size_t* n);

  ssl_st* ssl_ = nullptr;
  const TlsContext* context_;
  SniSelector* selector_;
  std::string error_;
  bool plain_http_ = false;
  bool broken_ = false;  // after a fatal error OpenSSL must not send close_notify
};

}  // namespace limpet::worker
