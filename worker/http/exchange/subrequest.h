// A request that we make ourselves to another location while an exchange waits, to learn from its
// answer (auth_request), or beside it (mirror). The answer's body goes nowhere. Owned by the
// exchange that it belongs to; destroying it ends the request wherever it is.
#pragma once

#include <memory>
#include <string_view>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/null_stream.h"
#include "worker/net/callback.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class Subrequest final : public NullStream {
 public:
  // `done` runs once, from the loop, when the answer has come; never after the destructor.
  Subrequest(Exchange& parent, Callback done);
  ~Subrequest() override;
  Subrequest(const Subrequest&) = delete;
  Subrequest& operator=(const Subrequest&) = delete;

  void Start(std::string_view uri);
  // The parent's own method and arguments, and its body if `with_body` (it has been read).
  void StartCopy(std::string_view uri, bool with_body);
  // After `done`: with its response, its variables still evaluate.
  Exchange& exchange() { return exchange_; }
  int status() { return failed_ ? 500 : exchange_.response().status; }

  // ClientStream
  const ClientInfo& client() const override { return parent_.client(); }
  const TlsTransport* tls() const override { return parent_.stream().tls(); }
  void FinishResponse() override { done_.Schedule(); }
  void Abort(bool reset) override;

 private:
  Exchange& parent_;
  Exchange exchange_;
  Deferred done_;
  bool failed_ = false;  // broke off before it had an answer
};

}  // namespace limpet::worker
