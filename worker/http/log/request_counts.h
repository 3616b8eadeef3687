// What a worker counts of requests beside its logs, for all workers' status pages, and where those
// pages find what the others have counted. Without memory (a test's worker) nothing is counted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "conf/config.h"
#include "shm/status_memory.h"
#include "shm/worker_pulse.h"
#include "worker/tls/certificate_end.h"

namespace limpet::worker {

struct Runtime;

struct RequestCounts {
  shm::StatusMemory* status = nullptr;
  const shm::WorkerPulses* pulses = nullptr;
  std::vector<uint32_t> places;  // in the traffic of `status`, to Http::upstreams
  std::span<const CertificateEnd> certificate_ends;
  int slot = 0;
};

// The worker's line of an upstream's requests; null: nothing is counted. Upstreams that proxy_pass
// names at run time have none of their own.
shm::TrafficLine* TrafficLineOf(const Runtime& runtime, const conf::Upstream& upstream);
// How many of the worker's requests wait for a server of the upstream.
void TellQueue(const Runtime& runtime, const conf::Upstream& upstream, size_t waiting);

}  // namespace limpet::worker
