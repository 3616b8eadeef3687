// Parts of the text of `prometheus`; metrics_page.cc puts them together.
#pragma once

#include "worker/status/metrics_text.h"
#include "worker/status/status.h"

namespace limpet::worker {

void AddTraffic(const StatusSource& source, MetricsText& page);       // requests of upstreams
void AddWorkerLimits(const StatusSource& source, MetricsText& page);  // connections, open files
void AddCertificates(const StatusSource& source, MetricsText& page);

}  // namespace limpet::worker
