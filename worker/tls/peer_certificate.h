// The certificate that the other side of a connection has shown, as text for variables. The
// handshake must be over. Any thread; nothing is kept.
#pragma once

#include <cstdint>
#include <string>

struct ssl_st;

namespace limpet::worker {

enum class CertificateField : uint8_t {
  kPem,            // with a newline at its end
  kPemInHeader,    // lines after the first begin with a tab, as a folded header needs it
  kPemEscaped,     // percent-encoded
  kSubject,        // RFC 2253
  kSubjectLegacy,  // "/C=…/CN=…"
  kIssuer,
  kIssuerLegacy,
  kSerial,       // hexadecimal
  kFingerprint,  // SHA-1, hexadecimal
  kValidStart,   // "Nov 22 10:00:00 2026 GMT"
  kValidEnd,
  kValidDays,  // days left; "0" if it has ended
  kVerify,     // NONE, SUCCESS or "FAILED:why"
};

struct CertificateVerdict {
  bool shown = false;           // there was one
  bool sound = false;           // and it is verified
  bool unknown_issuer = false;  // what is wrong with it is only that its issuer is not known here
  std::string text;             // "(18:self-signed certificate)"
};
CertificateVerdict VerdictOnPeer(const ssl_st* ssl);

// "" if there was none, but for kVerify.
std::string PeerCertificateText(const ssl_st* ssl, CertificateField field);

}  // namespace limpet::worker
