// The choice among the TLS contexts of a generation's servers, by the name that a client asks for.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "worker/http/exchange/runtime.h"
#include "worker/http/route/server_names.h"
#include "worker/tls/tls_context.h"
#include "worker/tls_store.h"

namespace limpet::worker {

// One listening address with `ssl`.
class TlsListen final : public SniSelector {
 public:
  TlsListen(const conf::ListenGroup& group, const ServerNames& names,
            const TlsContext& default_context, const ServerTlsContexts& contexts, const Log& log)
      : group_(group),
        names_(names),
        default_context_(default_context),
        contexts_(contexts),
        log_(log) {}

  const TlsContext& default_context() const { return default_context_; }
  TlsChoice ChooseTls(std::string_view name) override;

 private:
  const conf::ListenGroup& group_;
  const ServerNames& names_;
  const TlsContext& default_context_;
  const ServerTlsContexts& contexts_;
  const Log& log_;
};

class TlsContexts {
 public:
  TlsContexts(const Runtime& runtime, const ServerTlsContexts& contexts);

  TlsListen* For(const conf::ListenGroup& group);  // null: there is no usable certificate

 private:
  std::unordered_map<const conf::ListenGroup*, std::unique_ptr<TlsListen>> listens_;
};

}  // namespace limpet::worker
