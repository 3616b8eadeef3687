// The page of `stub_status`: what all workers count.

#include "worker/http/exchange/exchange.h"
#include "worker/http/local/content.h"

namespace limpet::worker {

Step StubStatusContent(Exchange& exchange) {
  const proto::Method method = exchange.request().method;
  if (method != proto::Method::kGet && method != proto::Method::kHead) {
    exchange.Finish(405);
    return Step::kDone;
  }
  const shm::Counters& all = exchange.runtime().counters;
  using C = shm::WorkerCounters;
  const std::string page = fmt::format(
      "Active connections: {} \nserver accepts handled requests\n {} {} {} \n"
      "Reading: {} Writing: {} Waiting: {} \n",
      all.Sum(&C::active), all.Sum(&C::accepted), all.Sum(&C::handled), all.Sum(&C::requests),
      all.Sum(&C::reading), all.Sum(&C::writing), all.Sum(&C::waiting));
  exchange.Reply(200, "text/plain", exchange.arena().Copy(page));
  return Step::kDone;
}

}  // namespace limpet::worker
