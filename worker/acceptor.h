// Takes accepted connections of one listening address to the point where HTTP begins: PROXY
// protocol first, then TLS.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "worker/accept_share.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/exchange/runtime.h"
#include "worker/net/listener.h"
#include "worker/tls/tls_context.h"
#include "worker/tls_contexts.h"

namespace limpet::worker {

class Acceptor final : public ListenerHandler {
 public:
  Acceptor(Runtime& runtime, ConnectionSet& connections, const conf::ListenGroup& group,
           TlsContexts& tls, int fd, AcceptShare* share /* null: the socket is ours alone */);
  ~Acceptor();

  void Start() { listener_.Start(); }
  void Stop() { listener_.Stop(); }  // what has been accepted goes on
  void CloseNow();                   // what waits for its PROXY header

 private:
  class PendingProxy;

  bool MayAccept(Listener& listener) override;
  void OnAccepted(Listener& listener, UniqueFd fd, const SocketAddress& client) override;
  const conf::ListenGroup& GroupOf(int fd) const;  // of an accepted connection
  void Proceed(UniqueFd fd, ClientInfo info);
  void Forget(PendingProxy* pending);

  Runtime& runtime_;
  ConnectionSet& connections_;
  const conf::ListenGroup& group_;
  std::vector<const conf::ListenGroup*> served_;  // those of single addresses beside `group_`
  TlsContexts& tls_;
  AcceptShare* share_;
  Listener listener_;
  std::list<std::unique_ptr<PendingProxy>> pending_;
};

}  // namespace limpet::worker
