// OpenSSL's handles owned by C++, and its error queue as text. For worker/tls only.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace limpet::worker {

template <auto kFree>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

// "error:0A00010B:SSL routines::wrong version number[:DETAIL]"; the queue is empty afterwards. ""
// if there was none.
std::string TakeErrors();

// nullopt: it says no time.
std::optional<int64_t> SecondsSince1970(const ASN1_TIME* time);

// `what` followed by " (SSL: …)", as in nginx's logs, if OpenSSL says anything.
Error TlsError(std::string what);

}  // namespace limpet::worker
