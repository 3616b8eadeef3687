// The TLS contexts of a generation's servers, and the choice among them by name.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "worker/http/runtime.h"
#include "worker/http/server_names.h"
#include "worker/tls/tls_context.h"

namespace limpet::worker {

// One listening address with `ssl`.
class TlsListen final : public SniSelector {
 public:
  TlsListen(const ServerNames& names, const TlsContext& default_context,
            const std::unordered_map<const conf::Server*, std::unique_ptr<TlsContext>>& contexts)
      : names_(names), default_context_(default_context), contexts_(contexts) {}

  const TlsContext& default_context() const { return default_context_; }
  const TlsContext* ChooseTls(std::string_view name) override;

 private:
  const ServerNames& names_;
  const TlsContext& default_context_;
  const std::unordered_map<const conf::Server*, std::unique_ptr<TlsContext>>& contexts_;
};

class TlsContexts {
 public:
  // Reads certificates and keys of all servers that listen with `ssl`; what cannot be read is logged, and its addresses
  // refuse connections (the master has checked the files when it loaded the configuration).
  TlsContexts(const Runtime& runtime, const Log& log);

  TlsListen* For(const conf::ListenGroup& group);  // null: there is no usable certificate

 private:
  std::unordered_map<const conf::Server*, std::unique_ptr<TlsContext>> contexts_;
  std::unordered_map<const conf::ListenGroup*, std::unique_ptr<TlsListen>> listens_;
};

}  // namespace limpet::worker
