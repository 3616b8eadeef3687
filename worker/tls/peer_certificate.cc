#include "worker/tls/peer_certificate.h"

#include <fmt/core.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "proto/escape.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// What `print` writes.
template <class Print>
std::string Printed(Print print) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || !print(bio.get())) return {};
  return Contents(bio.get());
}

std::string Pem(X509* certificate) {
  return Printed([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate) == 1; });
}

std::string PemInHeader(X509* certificate) {
  std::string folded;
  for (const char c : Pem(certificate)) {
    folded += c;
    if (c == '\n') folded += '\t';
  }
  folded.resize(folded.size() - std::min<size_t>(folded.size(), 2));  // of the last line
  return folded;
}

std::string Name(const X509_NAME* name) {
  return Printed([&](BIO* bio) { return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0; });
}

std::string NameInOneLine(const X509_NAME* name) {
  const std::unique_ptr<char, void (*)(char*)> line(X509_NAME_oneline(name, nullptr, 0),
                                                    [](char* text) { OPENSSL_free(text); });
  return line ? line.get() : "";
}

std::string Serial(const X509* certificate) {
  return Printed(
      [&](BIO* bio) { return i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate)) >= 0; });
}

std::string Fingerprint(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha1(), digest.data(), &size) != 1) return {};
  return HexLower(digest.data(), size);
}

std::string Time(const ASN1_TIME* time) {
  return Printed([&](BIO* bio) { return ASN1_TIME_print(bio, time) == 1; });
}

std::string DaysLeft(const ASN1_TIME* end) {
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, end) != 1 || days < 0 || seconds < 0) return "0";
  return std::to_string(days);
}

std::string Verdict(const SSL* ssl, bool shown) {
  if (!shown) return "NONE";
  const long result = SSL_get_verify_result(ssl);
  if (result == X509_V_OK) return "SUCCESS";
  return std::string("FAILED:") + X509_verify_cert_error_string(result);
}

}  // namespace

CertificateVerdict VerdictOnPeer(const SSL* ssl) {
  CertificateVerdict verdict;
  verdict.shown = SSL_get0_peer_certificate(ssl) != nullptr;
  if (!verdict.shown) return verdict;
  const long result = SSL_get_verify_result(ssl);
  verdict.sound = result == X509_V_OK;
  verdict.unknown_issuer = result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                           result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
                           result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                           result == X509_V_ERR_CERT_UNTRUSTED ||
                           result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
  verdict.text = fmt::format("({}:{})", result, X509_verify_cert_error_string(result));
  return verdict;
}

std::string PeerCertificateText(const SSL* ssl, CertificateField field) {
  const X509Ptr owner(SSL_get1_peer_certificate(ssl));
  X509* const certificate = owner.get();
  if (field == CertificateField::kVerify) return Verdict(ssl, certificate != nullptr);
  if (certificate == nullptr) return {};
  switch (field) {
    case CertificateField::kPem:
      return Pem(certificate);
    case CertificateField::kPemInHeader:
      return PemInHeader(certificate);
    case CertificateField::kPemEscaped:
      return proto::EscapeUri(Pem(certificate), proto::EscapeKind::kUriComponent);
    case CertificateField::kSubject:
      return Name(X509_get_subject_name(certificate));
    case CertificateField::kSubjectLegacy:
      return NameInOneLine(X509_get_subject_name(certificate));
    case CertificateField::kIssuer:
      return Name(X509_get_issuer_name(certificate));
    case CertificateField::kIssuerLegacy:
      return NameInOneLine(X509_get_issuer_name(certificate));
    case CertificateField::kSerial:
      return Serial(certificate);
    case CertificateField::kFingerprint:
      return Fingerprint(certificate);
    case CertificateField::kValidStart:
      return Time(X509_get0_notBefore(certificate));
    case CertificateField::kValidEnd:
      return Time(X509_get0_notAfter(certificate));
    case CertificateField::kValidDays:
      return DaysLeft(X509_get0_notAfter(certificate));
    case CertificateField::kVerify:
      break;
  }
  return {};
}

}  // namespace limpet::worker
