#include "worker/tls/pem_files.h"

#include <fmt/core.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstring>
#include <fstream>

namespace limpet::worker {
namespace {

// OpenSSL asks for a password of at most `size` bytes; -1: there is none.
int GivePassword(char* buffer, int size, int /*writing*/, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  const size_t length = std::min(text.size(), static_cast<size_t>(size));
  std::memcpy(buffer, text.data(), length);
  return text.empty() ? -1 : static_cast<int>(length);
}

Result<std::vector<std::string>> ReadPasswords(const std::string& file) {
  std::vector<std::string> passwords;
  if (file.empty()) return std::vector<std::string>{""};
  std::ifstream lines(file);
  if (!lines) return ErrnoError(fmt::format("open() \"{}\" failed", file), errno);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) passwords.push_back(line);
  }
  if (passwords.empty()) passwords.emplace_back();
  return passwords;
}

KeyPtr ReadKey(BIO* bio, std::string* password) {
  TakeErrors();
  BIO_ctrl(bio, BIO_CTRL_RESET, 0, nullptr);
  return KeyPtr(PEM_read_bio_PrivateKey(bio, nullptr, GivePassword, password));
}

}  // namespace

Status UseChain(SSL_CTX* context, const std::string& file) {
  const auto error = [&] { return TlsError(fmt::format("cannot load certificate \"{}\":", file)); };
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  if (!bio) return error();
  const X509Ptr leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return error();
  while (X509* issuer = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const X509Ptr owner(issuer);
    if (SSL_CTX_add1_chain_cert(context, issuer) != 1) return error();
  }
  TakeErrors();  // the end of the file is one
  return {};
}

Status UseKey(SSL_CTX* context, const std::string& file, const std::string& password_file) {
  const auto error = [&] {
    return TlsError(fmt::format("cannot load certificate key \"{}\":", file));
  };
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  if (!bio) return error();
  auto passwords = ReadPasswords(password_file);
  if (!passwords) return passwords.error();
  KeyPtr key;
  for (std::string& password : *passwords) {
    if (key = ReadKey(bio.get(), &password); key) break;
  }
  for (std::string& password : *passwords) OPENSSL_cleanse(password.data(), password.size());
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return error();
  return {};
}

Status UseTrusted(SSL_CTX* context, const std::string& file, bool named) {
  if (SSL_CTX_load_verify_locations(context, file.c_str(), nullptr) != 1) {
    return TlsError(fmt::format("SSL_CTX_load_verify_locations(\"{}\") failed", file));
  }
  TakeErrors();
  if (!named) return {};
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(file.c_str());
  if (names == nullptr)
    return TlsError(fmt::format("SSL_load_client_CA_file(\"{}\") failed", file));
  SSL_CTX_set_client_CA_list(context, names);
  return {};
}

Status UseRevoked(SSL_CTX* context, const std::string& file) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) <= 0) {
    return TlsError(fmt::format("X509_LOOKUP_load_file(\"{}\") failed", file));
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

Status ApplyCommands(SSL_CTX* context,
                     const std::vector<std::pair<std::string, std::string>>& commands) {
  using ConfPtr = std::unique_ptr<SSL_CONF_CTX, FreeWith<SSL_CONF_CTX_free>>;
  if (commands.empty()) return {};
  const ConfPtr conf(SSL_CONF_CTX_new());
  SSL_CONF_CTX_set_flags(conf.get(), SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER |
                                         SSL_CONF_FLAG_CLIENT | SSL_CONF_FLAG_CERTIFICATE |
                                         SSL_CONF_FLAG_SHOW_ERRORS);
  SSL_CONF_CTX_set_ssl_ctx(conf.get(), context);
  for (const auto& [name, value] : commands) {
    const int result = SSL_CONF_cmd(conf.get(), name.c_str(), value.c_str());
    if (result <= 0)
      return TlsError(fmt::format("SSL_CONF_cmd(\"{}\", \"{}\") failed", name, value));
  }
  if (SSL_CONF_CTX_finish(conf.get()) != 1) return TlsError("SSL_CONF_CTX_finish() failed");
  return {};
}

}  // namespace limpet::worker
