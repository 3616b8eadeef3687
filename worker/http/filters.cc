// The filters that change a response's body: the one place that knows them all, and their order.
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/filter/charset.h"
#include "worker/http/filter/gunzip.h"
#include "worker/http/filter/gzip.h"
#include "worker/http/filter/ranges.h"
#include "worker/http/filter/sub_filter.h"

namespace limpet::worker {

bool MakeBodyFilters(Exchange& exchange, BodyFilter* last, BodyChain* chain) {
  const bool hides_body = exchange.response().hides_body;
  const bool unpacks = Unpacks(exchange);
  AddCharset(exchange);  // what is unpacked here is text again
  const bool changes_text = ChangesText(exchange);
  chain->filter = MakeGzipFilter(exchange, last);
  if (hides_body) chain->filter.reset();  // HEAD is told what GET would be
  if (!ApplyRanges(exchange, last, &chain->filter)) return false;
  if (chain->filter != nullptr) chain->first = chain->filter.get();
  if (changes_text && !hides_body) chain->text_filter = MakeSubFilter(exchange, chain->first);
  if (chain->text_filter != nullptr) chain->first = chain->text_filter.get();
  if (unpacks && !hides_body) chain->unpacker = MakeGunzipFilter(exchange, chain->first);
  if (chain->unpacker != nullptr) chain->first = chain->unpacker.get();
  return true;
}

}  // namespace limpet::worker
