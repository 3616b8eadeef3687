// What answers a request where no upstream does. Each makes the response.
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::worker {

Step EmptyGifContent(Exchange& exchange);    // empty_gif.cc
Step StubStatusContent(Exchange& exchange);  // stub_status.cc
Step ApiContent(Exchange& exchange);         // status_content.cc
Step PrometheusContent(Exchange& exchange);
Step DashboardContent(Exchange& exchange);
Step StaticContent(Exchange& exchange);  // static_files.cc: root, alias, index

}  // namespace limpet::worker
