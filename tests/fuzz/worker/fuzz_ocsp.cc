// What a responder of OCSP answers: with verification on, nothing is taken but what the authority
// of the certificate below has signed: three of the seeds. Its key is gone.
#include <openssl/ocsp.h>

#include <set>
#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"
#include "worker/tls/ocsp_subject.h"

using namespace limpet;
using namespace limpet::worker;

namespace {

constexpr std::string_view kChain = R"(-----BEGIN CERTIFICATE-----
MIIBFjCBvKADAgECAgISZzAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdGdXp6IENB
MCAXDTIwMDEwMTAwMDAwMFoYDzI5OTkwMTAxMDAwMDAwWjAUMRIwEAYDVQQDDAlm
dXp6LnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASaUe6JnEpkOCKgzFG6
fum4/U1LaPjsXTC58r736KdmGh5FcAzrSZyzVW5qwPhPdCifS2Fijn64nJ9Conb+
8BUYMAoGCCqGSM49BAMCA0kAMEYCIQCWEKiLO+XMLBuD7dAEpxCgofo2f9qkHDFF
jxshr4f3ogIhAOFMDiGLuLOCeLK35RpZzClZQKmERUKR/VMPuPCxWEQc
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBJjCBzqADAgECAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB0Z1enogQ0Ew
IBcNMjAwMTAxMDAwMDAwWhgPMjk5OTAxMDEwMDAwMDBaMBIxEDAOBgNVBAMMB0Z1
enogQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATMKXuJtLioBWkOOQWNM+Qg
EAP/vKEvANg7B/77hs28CGPKqWONTEcMHkwqBMV7odpkoV8wMUDELiH9a1LOCHPR
oxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIGPHatbywPvZ
c8tUxnRMj9wtHgJpBxNSdGGbKYIJoHmcAiBZ1vghmwyVumZa4IhDlFkFN/eftH6U
FKB1VdxnCUD66A==
-----END CERTIFICATE-----
)";

std::unique_ptr<const OcspSubject> Subject(bool verify) {
  static const TlsObjectPtr chain = *ParseTlsObject(TlsObjectKind::kChain, kChain, {});
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_server_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(made), chain->certificates[1].get());
    return made;
  }();
  return std::move(*OcspSubject::Make(
      chain, context, {.name = "fuzz", .responder = "http://127.0.0.1/", .verify = verify}));
}

// Of what is signed in an answer.
std::string DigestOf(std::string_view answer) {
  using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;
  using BasicPtr = std::unique_ptr<OCSP_BASICRESP, FreeWith<OCSP_BASICRESP_free>>;
  const auto* at = reinterpret_cast<const unsigned char*>(answer.data());
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(answer.size())));
  const BasicPtr basic(OCSP_response_get1_basic(response.get()));
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPDATA(OCSP_resp_get0_respdata(basic.get()), &der);
  FUZZ_CHECK(size > 0, "it cannot be written");
  const std::string text = Md5Hex({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return text;
}

const std::set<std::string> kSigned = {"285a5762cf7d64eae3e4344141d63765",
                                       "05d94300bf986be78eba449372e95235",
                                       "f36d1ea7d82bd4792cabab8f38625d24"};

}  // namespace

FUZZ_TARGET(ocsp, input) {
  static const auto strict = Subject(true);
  static const auto lenient = Subject(false);
  const OcspSubject::Answer loose = lenient->Judge(input);
  FUZZ_CHECK(!loose.bad.empty() || loose.valid_until_s > Now().seconds - 300, "it is out of date");
  const OcspSubject::Answer answer = strict->Judge(input);
  if (!answer.bad.empty()) return;
  FUZZ_CHECK(loose.bad.empty(), "verified, and wrong without verification");
  FUZZ_CHECK(kSigned.contains(DigestOf(input)), "the authority has never signed this");
}
