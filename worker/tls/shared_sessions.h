// OpenSSL's sessions in memory that all workers share: a client that comes back to another worker
// resumes its session there. A context finds its table as long as both live.
#pragma once

struct ssl_ctx_st;

namespace limpet::shm {
class TlsSessionTable;
}

namespace limpet::worker {

// Of a server's context, before the first connection. Sessions live as long as the context says.
void ShareSessions(ssl_ctx_st* context, shm::TlsSessionTable* table);

}  // namespace limpet::worker
