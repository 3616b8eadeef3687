#include "worker/tls/ocsp_subject.h"

#include <fmt/core.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <limits>

#include "base/hash.h"
#include "base/text.h"
#include "conf/host_port.h"
#include "proto/escape.h"
#include "proto/headers.h"

namespace limpet::worker {
namespace {

using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, FreeWith<OCSP_BASICRESP_free>>;
using RequestPtr = std::unique_ptr<OCSP_REQUEST, FreeWith<OCSP_REQUEST_free>>;
using IdPtr = std::unique_ptr<OCSP_CERTID, FreeWith<OCSP_CERTID_free>>;

constexpr std::string_view kScheme = "http://";
constexpr long kClockSkewS = 300;  // a responder's clock may differ from ours by so much

std::string Failed(std::string_view call) {
  return TlsError(fmt::format("{} failed", call)).message;
}

std::string ResponderOf(X509* certificate) {
  using Urls = STACK_OF(OPENSSL_STRING);
  const std::unique_ptr<Urls, void (*)(Urls*)> urls(X509_get1_ocsp(certificate),
                                                    [](Urls* all) { X509_email_free(all); });
  const char* first = urls ? sk_OPENSSL_STRING_value(urls.get(), 0) : nullptr;
  return first == nullptr ? "" : first;
}

}  // namespace

Result<std::unique_ptr<const OcspSubject>> OcspSubject::Make(TlsObjectPtr chain, SSL_CTX* context,
                                                             Options options) {
  std::unique_ptr<OcspSubject> subject(new OcspSubject);
  subject->chain_ = std::move(chain);
  subject->context_ = context;
  subject->options_ = std::move(options);
  if (Status status = subject->FindIssuer(); !status) return status.error();
  if (Status status = subject->FindResponder(); !status) return status.error();
  return std::unique_ptr<const OcspSubject>(std::move(subject));
}

// Among what follows the certificate in its file, else among the CAs.
Status OcspSubject::FindIssuer() {
  X509* certificate = chain_->certificates.front().get();
  for (size_t i = 1; i < chain_->certificates.size(); ++i) {
    X509* candidate = chain_->certificates[i].get();
    if (X509_check_issued(candidate, certificate) != X509_V_OK) continue;
    X509_up_ref(candidate);
    issuer_.reset(candidate);
    return {};
  }
  const std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>> search(X509_STORE_CTX_new());
  X509* found = nullptr;
  if (X509_STORE_CTX_init(search.get(), SSL_CTX_get_cert_store(context_), nullptr, nullptr) == 1 &&
      X509_STORE_CTX_get1_issuer(&found, search.get(), certificate) == 1) {
    issuer_.reset(found);
    return {};
  }
  TakeErrors();
  return InvalidArgument(
      fmt::format("issuer certificate not found for certificate \"{}\"", options_.name));
}

Status OcspSubject::FindResponder() {
  std::string url = options_.responder;
  if (url.empty()) url = ResponderOf(chain_->certificates.front().get());
  if (url.empty())
    return InvalidArgument(
        fmt::format("no OCSP responder URL in the certificate \"{}\"", options_.name));
  const auto wrong = [&](std::string_view why) {
    return InvalidArgument(fmt::format("{} in OCSP responder \"{}\" in the certificate \"{}\"", why,
                                       url, options_.name));
  };
  if (!StartsWithIgnoreCase(url, kScheme)) return wrong("invalid URL prefix");
  const auto place = conf::ParseHostPort(std::string_view(url).substr(kScheme.size()), 80, true);
  if (!place) return wrong(place.error().message);
  host_ = place->host;
  port_ = place->port;
  uri_ = place->uri.starts_with('/') ? place->uri : "/" + place->uri;
  if (!proto::IsFieldValue(host_)) return wrong("invalid host");
  auto addresses = SocketAddress::Resolve(host_, port_);
  if (!addresses) return wrong("host not found");
  addresses_ = std::move(*addresses);
  return {};
}

std::string OcspSubject::Request() const {
  const RequestPtr request(OCSP_REQUEST_new());
  OCSP_request_add0_id(request.get(), OCSP_cert_to_id(nullptr, certificate(), issuer_.get()));
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_REQUEST(request.get(), &der);
  std::string text(reinterpret_cast<const char*>(der), size > 0 ? static_cast<size_t>(size) : 0);
  OPENSSL_free(der);
  text = proto::EscapeUri(Base64Encode(text), proto::EscapeKind::kUriComponent);
  return fmt::format("GET {}{}{} HTTP/1.0\r\nHost: {}\r\n\r\n",
                     proto::EscapeUri(uri_, proto::EscapeKind::kLine),
                     uri_.ends_with('/') ? "" : "/", text, host_);
}

OcspSubject::Answer OcspSubject::Judge(std::string_view response) const {
  Answer answer;
  TakeErrors();
  answer.bad = Examine(response, &answer);
  return answer;
}

std::string OcspSubject::Examine(std::string_view response, Answer* answer) const {
  const auto* at = reinterpret_cast<const unsigned char*>(response.data());
  const auto* const begin = at;
  const ResponsePtr parsed(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(response.size())));
  if (!parsed) return Failed("d2i_OCSP_RESPONSE()");
  answer->size = static_cast<size_t>(at - begin);
  if (const int status = OCSP_response_status(parsed.get());
      status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return fmt::format("OCSP response not successful ({}: {})", status,
                       OCSP_response_status_str(status));
  }
  const BasicPtr basic(OCSP_response_get1_basic(parsed.get()));
  if (!basic) return Failed("OCSP_response_get1_basic()");
  using Stack = STACK_OF(X509);
  const std::unique_ptr<Stack, void (*)(Stack*)> chain(sk_X509_new_null(),
                                                       [](Stack* all) { sk_X509_free(all); });
  for (size_t i = 1; i < chain_->certificates.size(); ++i) {
    sk_X509_push(chain.get(), chain_->certificates[i].get());
  }
  const unsigned long flags = options_.verify ? OCSP_TRUSTOTHER : OCSP_NOVERIFY;
  if (OCSP_basic_verify(basic.get(), chain.get(), SSL_CTX_get_cert_store(context_), flags) != 1)
    return Failed("OCSP_basic_verify()");
  const IdPtr id(OCSP_cert_to_id(nullptr, certificate(), issuer_.get()));
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  ASN1_GENERALIZEDTIME* made = nullptr;
  ASN1_GENERALIZEDTIME* next = nullptr;
  if (OCSP_resp_find_status(basic.get(), id.get(), &status, nullptr, nullptr, &made, &next) != 1)
    return "certificate status not found in the OCSP response";
  if (OCSP_check_validity(made, next, kClockSkewS, -1) != 1) return Failed("OCSP_check_validity()");
  if (status != V_OCSP_CERTSTATUS_GOOD) {
    return fmt::format("certificate status \"{}\" in the OCSP response",
                       OCSP_cert_status_str(status));
  }
  answer->valid_until_s =
      next == nullptr ? std::numeric_limits<int64_t>::max() : SecondsSince1970(next).value_or(0);
  return {};
}

}  // namespace limpet::worker
