// How a worker's runtime ends: here all that it holds is known.
#include "worker/http/exchange/runtime.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {

Runtime::~Runtime() {
  url_groups.Clear();
  loop.RunDead();  // their kept connections need what we own
}

}  // namespace limpet::worker
