// Self-signed certificates and their keys in PEM files.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>

#include "conf/listen.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {

// FOLDER/NAME.crt for `subject` and FOLDER/NAME.key, which a password may protect.
inline void WriteCertificate(const std::string& folder, const std::string& name,
                             const std::string& subject, std::string password = "") {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr cert(X509_new());
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* subject_name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(subject_name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(cert.get(), subject_name);
  X509_sign(cert.get(), key.get(), EVP_sha256());
  const std::string base = folder + "/" + name;
  const BioPtr cert_file(BIO_new_file((base + ".crt").c_str(), "w"));
  PEM_write_bio_X509(cert_file.get(), cert.get());
  const BioPtr key_file(BIO_new_file((base + ".key").c_str(), "w"));
  PEM_write_bio_PrivateKey(key_file.get(), key.get(),
                           password.empty() ? nullptr : EVP_aes_128_cbc(), nullptr, 0, nullptr,
                           password.empty() ? nullptr : password.data());
}

// Of a server that shows such a certificate, made now.
inline conf::TlsSettings SettingsFor(const std::string& folder, const std::string& name) {
  WriteCertificate(folder, name, name);
  conf::TlsSettings settings;
  settings.certificates = {conf::Template::Literal(folder + "/" + name + ".crt")};
  settings.certificate_keys = {conf::Template::Literal(folder + "/" + name + ".key")};
  return settings;
}

}  // namespace limpet::worker
