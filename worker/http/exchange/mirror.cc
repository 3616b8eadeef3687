// mirror: other locations get a copy of the request; what they answer goes nowhere. The response
// does not wait for them, but the connection's next request does: their bytes are this one's.
#include "worker/http/exchange/mirror.h"

#include <memory>
#include <string_view>
#include <vector>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/subrequest.h"

namespace limpet::worker {
namespace {

// The copies of one exchange; lives until it ends. The body is read first if the copies have it.
class Mirrors final : public RequestBodySink {
 public:
  explicit Mirrors(Exchange& exchange)
      : exchange_(exchange), settings_(exchange.location().mirror) {}

  // False: Resume() will be called.
  bool Start() {
    if (settings_.request_body) {
      exchange_.body().Start(RequestBody::Mode::kBuffered, this);
    } else {
      OnBodyReady();
    }
    starting_ = false;
    if (started_) return true;
    if (exchange_.phase() == Phase::kRouting) exchange_.Suspend();
    return false;
  }

  void OnBodyReady() override {
    started_ = true;
    for (const conf::Template& written : settings_.uris) {
      const std::string_view uri = exchange_.arena().Copy(exchange_.Evaluate(written));
      if (exchange_.IsUnsafe(uri, written.source())) continue;
      copies_.push_back(
          std::make_unique<Subrequest>(exchange_, Callback::To<&Exchange::Release>(&exchange_)));
      exchange_.Hold();
      copies_.back()->StartCopy(uri, settings_.request_body);
    }
    if (!starting_) exchange_.Resume();
  }

 private:
  Exchange& exchange_;
  const conf::Mirror& settings_;
  std::vector<std::unique_ptr<Subrequest>> copies_;
  bool starting_ = true;
  bool started_ = false;
};

}  // namespace

Step MirrorStep(Exchange& exchange) {
  if (exchange.request().is_subrequest) return Step::kNext;
  const auto mirrors = std::make_shared<Mirrors>(exchange);
  exchange.AtEnd([kept = mirrors]() mutable { kept.reset(); });
  return mirrors->Start() ? Step::kNext : Step::kSuspend;
}

}  // namespace limpet::worker
