// TLS over a TCP connection. As a server: Start begins the handshake, OnReady tells its end. As a
// client: Connect begins, OnReady tells the end of both, the connection's and the handshake's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "worker/net/plain_transport.h"
#include "worker/net/transport.h"
#include "worker/tls/peer_certificate.h"
#include "worker/tls/session_memory.h"
#include "worker/tls/tls_context.h"
#include "worker/tls/tls_wire.h"

namespace limpet::worker {

class TlsTransport;

// Gives a connection its certificates, where their names have variables (TlsContext::varying).
class CertificateGiver {
 public:
  // During the handshake, by TlsTransport::GiveCertificate. False: there are none, and it fails.
  virtual bool GiveCertificates(TlsTransport& transport, const TlsContext& context) = 0;

 protected:
  ~CertificateGiver() = default;
};

// What a client wants of the other side.
struct TlsTarget {
  const TlsContext* context = nullptr;   // of TlsContext::ForUpstream
  std::string name;                      // of the server, for verification
  bool send_name = false;                // SNI
  TlsSessionMemory* sessions = nullptr;  // outlives the connection; null: no session is resumed
  std::string scope;                     // key in `sessions`
  TlsPair certificate;                   // to show, if the context has none; or nothing
};

class TlsTransport final : public Transport {
 public:
  struct Connecting {
    std::unique_ptr<TlsTransport> transport;
    int errnum = 0;
    const char* what = "connect()";
    bool ours = false;
  };
  // `selector` may be null: `context` serves every name. Both must outlive the handshake.
  static std::unique_ptr<TlsTransport> Accept(Loop& loop, UniqueFd fd, const TlsContext& context,
                                              SniSelector* selector);
  // As PlainTransport::Connect, but never done at once: OnReady follows unless errnum is an error.
  static Connecting Connect(Loop& loop, const SocketAddress& address, const ConnectOptions& options,
                            TlsTarget target, TransportHandler* handler);
  // After OnReady with an error: what has failed, as a line of the log says it.
  std::string SetupError(int errnum) const;
  ~TlsTransport() override;

  void set_certificate_giver(CertificateGiver* giver) { giver_ = giver; }
  // Of a server's connection: the context that it began with, before a name chose another.
  static const ssl_ctx_st* FirstContext(const ssl_st* ssl);
  Status GiveCertificate(const TlsPair& pair) { return pair.Use(ssl_); }

  int Start() override;  // EPROTO if the handshake failed at once
  Io Read(char* data, size_t size, size_t* n) override;
  // The bytes as they have come, after which there is no Read any more.
  Io ReadRaw(char* data, size_t size, size_t* n);
  Io Writev(const iovec* pieces, int count, bool more, size_t* n) override;
  Io SendFile(int file, off_t offset, size_t size, size_t* n) override;
  void ShutdownWrite() override;
  bool StillIdle() override;
  bool HasUnread() const override;
  void Close() override;  // sends close_notify if it can be done at once
  std::string ErrorText() const override;
  bool is_tls() const override { return true; }

  // Of the finished handshake; for variables.
  std::string_view protocol() const;          // $ssl_protocol "TLSv1.3"
  std::string_view cipher() const;            // $ssl_cipher
  std::string_view server_name() const;       // $ssl_server_name, empty without SNI
  std::string_view alpn() const;              // $ssl_alpn_protocol "h2"; empty without ALPN
  bool session_reused() const;                // $ssl_session_reused
  std::string session_id() const;             // $ssl_session_id, hex
  std::string ciphers() const;                // $ssl_ciphers: the client's
  std::string curve() const;                  // $ssl_curve
  std::string curves() const;                 // $ssl_curves: the client's
  std::string_view signature() const;         // $ssl_sigalg: ours
  std::string_view client_signature() const;  // $ssl_client_sigalg
  std::string signatures() const;             // $ssl_sigalgs: those the client takes, as numbers
  // The client has sent bytes before the handshake's end, and it has not ended yet: what was read
  // may be a replay.
  bool is_early() const;
  std::string ClientCertificate(CertificateField field) const {
    return PeerCertificateText(ssl_, field);
  }
  CertificateVerdict client_verdict() const { return VerdictOnPeer(ssl_); }

  // As the server: the name in the client's hello, "" without one. Where a session is resumed
  // server_name() may be that of the session.
  std::string_view asked_name() const { return asked_name_; }

  // Of a server's handshake that has failed: what of it, as a line of the log says it.
  std::string HandshakeError() const;

  // As the server: the client has sent something.
  bool has_begun() const { return has_begun_ && !never_came_; }

  // The client spoke plain HTTP to a TLS port (nginx answers 497/400): bytes are still unread on
  // fd().
  bool plain_http() const { return plain_http_; }

 private:
  TlsTransport(Loop& loop, UniqueFd fd, const TlsContext& context, SniSelector* selector);
  static int OnClientHello(ssl_st* ssl, int* alert, void* unused) noexcept;
  static int OnServerName(ssl_st* ssl, int* alert, void* unused) noexcept;
  static int OnAlpn(ssl_st* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void* unused) noexcept;
  static int OnCertificatesWanted(ssl_st* ssl, void* unused) noexcept;
  static int OnNewSession(ssl_st* ssl, ssl_session_st* session) noexcept;
  friend class TlsContext;

  bool Choose(std::string_view name);  // false: refuse the handshake
  void AdvanceSetup() override;
  bool AwaitsBytes() const;  // the handshake waits for some, and none have come
  int AdvanceConnect();
  int StartAsClient();
  int VerifyPeer();
  bool VerifyName();
  int DriveHandshake();  // 0, EINPROGRESS or an errno
  int HandshakeEnd(Io io);
  Io Translate(int result, bool reading);
  void NoteEndOf(bool reading);
  Io WriteRecord(std::string_view bytes, size_t* n);
  template <class Next>
  Io WriteBatch(Next next, size_t* n);
  Io NoteSent(int errnum, size_t* n);
  size_t RecordSize() const;
  Io PullEarly(void* data, size_t size, size_t* n);
  Io StartEarly();
  Io ReadEarly(char* data, size_t size, size_t* n);
  Io WriteEarly(const char* data, size_t size, size_t* n);

  TlsWire wire_;
  ssl_st* ssl_ = nullptr;
  const TlsContext* context_;
  const TlsContext* first_context_;
  SniSelector* selector_;
  CertificateGiver* giver_ = nullptr;
  std::unique_ptr<TlsTarget> target_;  // null: we are the server
  std::string error_;
  std::string asked_name_;
  bool has_begun_ = false;  // as the server: a first byte, or the end, has come
  bool plain_http_ = false;
  bool never_came_ = false;  // the client has closed before its first byte
  bool rejects_ = false;     // who was asked for takes no handshakes
  bool cut_off_ = false;     // the other side has ended the connection within the handshake
  bool offers_http2_ = false;
  enum class Early : uint8_t {
    kNone,
    kTried /* there may be some */,
    kTaken /* not all is read */
  };
  Early early_ = Early::kNone;
  bool used_early_data_ = false;
  bool has_first_early_byte_ = false;
  unsigned char first_early_byte_ = 0;
  bool early_write_blocked_ = false;
  bool read_owed_ = false;        // a reader was turned away meanwhile
  bool bad_certificate_ = false;  // error_ says why
  bool other_is_slow_ = false;    // it has not taken the last batch at once
  bool broken_ = false;           // OpenSSL is asked for nothing any more, a close_notify included
};

}  // namespace limpet::worker
