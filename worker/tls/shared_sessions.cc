#include "worker/tls/shared_sessions.h"

#include <string>
#include <string_view>

#include "base/clock.h"
#include "shm/tls_session_table.h"
#include "worker/tls/openssl.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

int TableIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

shm::TlsSessionTable* TableOf(const SSL_CTX* context) {
  return static_cast<shm::TlsSessionTable*>(SSL_CTX_get_ex_data(context, TableIndex()));
}

// Of the server that was asked for, or of the one whose callbacks these are.
shm::TlsSessionTable* TableFor(const SSL* ssl) {
  shm::TlsSessionTable* table = TableOf(SSL_get_SSL_CTX(ssl));
  return table != nullptr ? table : TableOf(TlsTransport::FirstContext(ssl));
}

std::string_view Bytes(const unsigned char* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::string_view IdOf(const SSL_SESSION* session) {
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return Bytes(id, size);
}

// 0: we keep no reference.
int OnNew(SSL* ssl, SSL_SESSION* session) noexcept {
  // With tickets, a session of TLS 1.3 is at the client; its id is an invention.
  if (SSL_version(ssl) == TLS1_3_VERSION && (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0)
    return 0;
  shm::TlsSessionTable* table = TableFor(ssl);
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (table == nullptr || size <= 0) return 0;
  std::string text(static_cast<size_t>(size), '\0');
  auto* at = reinterpret_cast<unsigned char*>(text.data());
  i2d_SSL_SESSION(session, &at);
  const auto life_ms = static_cast<uint64_t>(SSL_SESSION_get_timeout(session)) * 1000;
  table->Keep(IdOf(session), text, MonotonicMs() + life_ms);
  OPENSSL_cleanse(text.data(), text.size());
  return 0;
}

SSL_SESSION* OnWanted(SSL* ssl, const unsigned char* id, int size, int* copy) noexcept {
  *copy = 0;  // the session is made for the caller
  shm::TlsSessionTable* table = TableFor(ssl);
  if (table == nullptr) return nullptr;
  std::string text = table->Find(Bytes(id, static_cast<size_t>(size)), MonotonicMs());
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  SSL_SESSION* session =
      text.empty() ? nullptr : d2i_SSL_SESSION(nullptr, &at, static_cast<long>(text.size()));
  OPENSSL_cleanse(text.data(), text.size());
  return session;
}

void OnRemoved(SSL_CTX* context, SSL_SESSION* session) noexcept {
  if (shm::TlsSessionTable* table = TableOf(context)) table->Forget(IdOf(session));
}

}  // namespace

void ShareSessions(SSL_CTX* context, shm::TlsSessionTable* table) {
  SSL_CTX_set_ex_data(context, TableIndex(), table);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE,
               SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL, nullptr);
  SSL_CTX_sess_set_new_cb(context, OnNew);
  SSL_CTX_sess_set_get_cb(context, OnWanted);
  SSL_CTX_sess_set_remove_cb(context, OnRemoved);
}

}  // namespace limpet::worker
