#include "worker/tls/pem_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_text.h"
#include "base/unique_fd.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

constexpr size_t kLongest = 64 << 20;  // bundles of authorities have some 200 kilobytes

using NamesPtr = std::unique_ptr<STACK_OF(X509_NAME), void (*)(STACK_OF(X509_NAME)*)>;

bool AddName(STACK_OF(X509_NAME) * names, const X509* certificate) {
  X509_NAME* name = X509_get_subject_name(certificate);
  for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
    if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0) return true;
  }
  X509_NAME* copy = X509_NAME_dup(name);
  return copy != nullptr && sk_X509_NAME_push(names, copy) > 0;
}

// 0, or why this is nothing to be read to its end.
int CheckKind(int fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return errno;
  if (S_ISREG(found.st_mode) || S_ISFIFO(found.st_mode)) return 0;
  return S_ISDIR(found.st_mode) ? EISDIR : ENODEV;
}

}  // namespace

bool IsFile(TlsObjectKind kind, std::string_view name) {
  return conf::IsTlsPath(name, kind == TlsObjectKind::kKey);
}

FileStamp FileStamp::Of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {.device = found.st_dev, .inode = found.st_ino, .changed_s = found.st_mtime};
}

PemFiles::PemFiles(std::shared_ptr<const TlsObjectBook> before) : before_(std::move(before)) {}

Result<std::string_view> PemFiles::Read(const std::string& file) {
  if (const auto it = contents_.find(file); it != contents_.end()) return it->second.text();
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", file), errno);
  if (const int errnum = CheckKind(fd.get()); errnum != 0)
    return ErrnoError(fmt::format("read() \"{}\" failed", file), errnum);
  auto text = ReadToEnd(fd.get(), file, kLongest);
  if (!text) return text.error();
  return contents_.try_emplace(file, std::move(*text)).first->second.text();
}

const TlsObjectPtr* PemFiles::FindUnchanged(TlsObjectKind kind, const std::string& name,
                                            const FileStamp& stamp) const {
  if (before_ == nullptr) return nullptr;
  const auto it = before_->entries.find({kind, name});
  if (it == before_->entries.end()) return nullptr;
  const bool unchanged = IsFile(kind, name) ? stamp.exists() && stamp == it->second.stamp
                                            : name.starts_with(conf::kTlsData);
  return unchanged ? &it->second.object : nullptr;
}

Result<TlsPasswords> PemFiles::Passwords(const std::string& file) {
  if (file.empty()) return TlsPasswords();
  const auto text = Read(file);
  if (!text) return text.error();
  return TlsPasswords(*text);
}

Result<TlsObjectPtr> PemFiles::Load(TlsObjectKind kind, const std::string& name,
                                    const TlsPasswords& passwords) {
  if (name.starts_with(conf::kTlsData))
    return ParseTlsObject(kind, std::string_view(name).substr(conf::kTlsData.size()), passwords);
  if (!IsFile(kind, name)) return OpenStoredKey(name.substr(conf::kTlsStore.size()), passwords);
  const auto text = Read(name);
  if (!text) return text.error();
  return ParseTlsObject(kind, *text, passwords);
}

Result<TlsObjectPtr> PemFiles::Get(TlsObjectKind kind, const std::string& name,
                                   const std::string& password_file) {
  if (const auto it = book_->entries.find({kind, name}); it != book_->entries.end())
    return it->second.object;
  const FileStamp stamp = IsFile(kind, name) ? FileStamp::Of(name) : FileStamp();
  TlsObjectPtr object;
  if (const TlsObjectPtr* kept = FindUnchanged(kind, name, stamp)) {
    object = *kept;
  } else {
    const auto passwords = Passwords(password_file);
    if (!passwords) return passwords.error();
    auto parsed = Load(kind, name, *passwords);
    if (!parsed) return CannotLoad(kind, name, parsed.error());
    object = std::move(*parsed);
  }
  if (!object->encrypted) book_->entries[{kind, name}] = {stamp, object};
  return object;
}

Result<TlsPair> PemFiles::GetPair(const PairNames& names) {
  const auto chain = Get(TlsObjectKind::kChain, names.certificate);
  if (!chain) return chain.error();
  const auto key = Get(TlsObjectKind::kKey, names.key, names.password_file);
  if (!key) return key.error();
  return TlsPair{*chain, *key};
}

Status PemFiles::UsePair(SSL_CTX* context, const PairNames& names) {
  auto pair = GetPair(names);
  if (pair && !pair->Fits() && before_ != nullptr) {
    before_ = nullptr;  // what else it holds is as old as this
    book_->entries.erase({TlsObjectKind::kChain, names.certificate});
    book_->entries.erase({TlsObjectKind::kKey, names.key});
    pair = GetPair(names);
  }
  if (!pair) return pair.error();
  if (!pair->Fits())
    return TlsError(fmt::format("SSL_CTX_use_PrivateKey(\"{}\") failed", names.key));
  return pair->Use(context);
}

Status PemFiles::UseTrusted(SSL_CTX* context, const std::string& file, bool named) {
  const auto trusted = Get(TlsObjectKind::kTrusted, file);
  if (!trusted) return trusted.error();
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  NamesPtr names(sk_X509_NAME_new_null(),
                 [](STACK_OF(X509_NAME) * stack) { sk_X509_NAME_pop_free(stack, X509_NAME_free); });
  for (const X509Ptr& certificate : (*trusted)->certificates) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1 ||
        !AddName(names.get(), certificate.get()))
      return TlsError(fmt::format("X509_STORE_add_cert(\"{}\") failed", file));
  }
  if (named) SSL_CTX_set_client_CA_list(context, names.release());
  return {};
}

Status PemFiles::UseRevoked(SSL_CTX* context, const std::string& file) {
  const auto revoked = Get(TlsObjectKind::kRevoked, file);
  if (!revoked) return revoked.error();
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const CrlPtr& crl : (*revoked)->crls) {
    if (X509_STORE_add_crl(store, crl.get()) != 1)
      return TlsError(fmt::format("X509_STORE_add_crl(\"{}\") failed", file));
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

Status PemFiles::UseDhParameters(SSL_CTX* context, const std::string& file) {
  const auto text = Read(file);
  if (!text) return text.error();
  const BioPtr bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  KeyPtr parameters(PEM_read_bio_Parameters(bio.get(), nullptr));
  if (!parameters || SSL_CTX_set0_tmp_dh_pkey(context, parameters.get()) != 1)
    return TlsError(fmt::format("cannot load DH parameters \"{}\":", file));
  parameters.release();  // the context owns them now
  return {};
}

}  // namespace limpet::worker
