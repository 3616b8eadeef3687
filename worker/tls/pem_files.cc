#include "worker/tls/pem_files.h"

#include <fmt/core.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/text.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

using InfosPtr = std::unique_ptr<STACK_OF(X509_INFO), void (*)(STACK_OF(X509_INFO)*)>;
using NamesPtr = std::unique_ptr<STACK_OF(X509_NAME), void (*)(STACK_OF(X509_NAME)*)>;

// OpenSSL asks for a password of at most `size` bytes; -1: there is none.
int GivePassword(char* buffer, int size, int /*writing*/, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  const size_t length = std::min(text.size(), static_cast<size_t>(size));
  std::memcpy(buffer, text.data(), length);
  return text.empty() ? -1 : static_cast<int>(length);
}

std::vector<std::string> SplitPasswords(std::string_view text) {
  std::vector<std::string> passwords;
  for (std::string_view line : Split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) passwords.emplace_back(line);
  }
  if (passwords.empty()) passwords.emplace_back();
  return passwords;
}

KeyPtr ReadKey(BIO* bio, std::string* password) {
  TakeErrors();
  BIO_ctrl(bio, BIO_CTRL_RESET, 0, nullptr);
  return KeyPtr(PEM_read_bio_PrivateKey(bio, nullptr, GivePassword, password));
}

// All certificates and revocation lists of a file.
InfosPtr ReadInfos(BIO* bio) {
  return {PEM_X509_INFO_read_bio(bio, nullptr, nullptr, nullptr),
          [](STACK_OF(X509_INFO) * infos) { sk_X509_INFO_pop_free(infos, X509_INFO_free); }};
}

bool AddName(STACK_OF(X509_NAME) * names, const X509* certificate) {
  X509_NAME* name = X509_get_subject_name(certificate);
  for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
    if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0) return true;
  }
  X509_NAME* copy = X509_NAME_dup(name);
  return copy != nullptr && sk_X509_NAME_push(names, copy) > 0;
}

Result<BioPtr> Open(PemFiles& files, const std::string& file) {
  const auto text = files.Read(file);
  if (!text) return text.error();
  BioPtr bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  if (!bio) return TlsError("BIO_new_mem_buf() failed");
  return bio;
}

}  // namespace

PemFiles::~PemFiles() {
  for (auto& [file, text] : contents_) OPENSSL_cleanse(text.data(), text.size());
}

Result<std::string_view> PemFiles::Read(const std::string& file) {
  if (const auto it = contents_.find(file); it != contents_.end())
    return std::string_view(it->second);
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad())
    return ErrnoError(fmt::format("open() \"{}\" failed", file), errno);
  return std::string_view(contents_.emplace(file, std::move(text)).first->second);
}

Status PemFiles::UseChain(SSL_CTX* context, const std::string& file) {
  const auto error = [&] { return TlsError(fmt::format("cannot load certificate \"{}\":", file)); };
  const auto bio = Open(*this, file);
  if (!bio)
    return InvalidArgument(
        fmt::format("cannot load certificate \"{}\": {}", file, bio.error().message));
  const X509Ptr leaf(PEM_read_bio_X509_AUX(bio->get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return error();
  while (X509* issuer = PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr)) {
    const X509Ptr owner(issuer);
    if (SSL_CTX_add1_chain_cert(context, issuer) != 1) return error();
  }
  TakeErrors();  // the end of the file is one
  return {};
}

Status PemFiles::UseKey(SSL_CTX* context, const std::string& file,
                        const std::string& password_file) {
  const auto error = [&] {
    return TlsError(fmt::format("cannot load certificate key \"{}\":", file));
  };
  const auto bio = Open(*this, file);
  if (!bio)
    return InvalidArgument(
        fmt::format("cannot load certificate key \"{}\": {}", file, bio.error().message));
  std::vector<std::string> passwords{""};
  if (!password_file.empty()) {
    const auto text = Read(password_file);
    if (!text) return text.error();
    passwords = SplitPasswords(*text);
  }
  KeyPtr key;
  for (std::string& password : passwords) {
    if (key = ReadKey(bio->get(), &password); key) break;
  }
  for (std::string& password : passwords) OPENSSL_cleanse(password.data(), password.size());
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return error();
  return {};
}

Status PemFiles::UseTrusted(SSL_CTX* context, const std::string& file, bool named) {
  const auto error = [&] {
    return TlsError(fmt::format("cannot load CA certificates \"{}\":", file));
  };
  const auto bio = Open(*this, file);
  if (!bio) return bio.error();
  const InfosPtr infos = ReadInfos(bio->get());
  if (!infos || sk_X509_INFO_num(infos.get()) == 0) return error();
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  NamesPtr names(sk_X509_NAME_new_null(),
                 [](STACK_OF(X509_NAME) * stack) { sk_X509_NAME_pop_free(stack, X509_NAME_free); });
  for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
    X509* certificate = sk_X509_INFO_value(infos.get(), i)->x509;
    if (certificate == nullptr) continue;
    if (X509_STORE_add_cert(store, certificate) != 1 || !AddName(names.get(), certificate))
      return error();
  }
  TakeErrors();
  if (named) SSL_CTX_set_client_CA_list(context, names.release());
  return {};
}

Status PemFiles::UseRevoked(SSL_CTX* context, const std::string& file) {
  const auto error = [&] { return TlsError(fmt::format("cannot load CRL \"{}\":", file)); };
  const auto bio = Open(*this, file);
  if (!bio) return bio.error();
  const InfosPtr infos = ReadInfos(bio->get());
  if (!infos || sk_X509_INFO_num(infos.get()) == 0) return error();
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
    X509_CRL* crl = sk_X509_INFO_value(infos.get(), i)->crl;
    if (crl != nullptr && X509_STORE_add_crl(store, crl) != 1) return error();
  }
  TakeErrors();
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

Status PemFiles::UseDhParameters(SSL_CTX* context, const std::string& file) {
  const auto error = [&] {
    return TlsError(fmt::format("cannot load DH parameters \"{}\":", file));
  };
  const auto bio = Open(*this, file);
  if (!bio) return bio.error();
  KeyPtr parameters(PEM_read_bio_Parameters(bio->get(), nullptr));
  if (!parameters || SSL_CTX_set0_tmp_dh_pkey(context, parameters.get()) != 1) return error();
  parameters.release();  // the context owns them now
  return {};
}

}  // namespace limpet::worker
