#include "worker/status/metrics_parts.h"

#include <array>

#include "worker/status/traffic_facts.h"
#include "worker/sticky/sticky.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string LabelsOf(const UpstreamTraffic& traffic, std::string_view more = {}) {
  return fmt::format("{{upstream=\"{}\"{}}}", Label(traffic.name), more);
}

// Words that an upstream's requests may have: without `sticky` only one.
void AddStickyWords(const UpstreamTraffic& traffic, MetricsText& page) {
  const bool sticks =
      traffic.conf != nullptr && traffic.conf->sticky.kind != conf::StickyKind::kNone;
  for (size_t i = 0; i <= static_cast<size_t>(StickyStatus::kAsked); ++i) {
    const uint64_t requests = traffic.sums.by_sticky[i];
    if (requests == 0 && sticks == (i == 0)) continue;
    const std::string_view word = i == 0 ? "none" : Name(static_cast<StickyStatus>(i));
    page.Sample(LabelsOf(traffic, fmt::format(",sticky_status=\"{}\"", word)), requests);
  }
}

void AddTimes(const UpstreamTraffic& traffic, MetricsText& page) {
  const shm::TrafficSums& sums = traffic.sums;
  uint64_t up_to = 0;
  for (size_t i = 0; i < sums.by_time.size(); ++i) {
    up_to += sums.by_time[i];
    const bool last = i == shm::TrafficSums::kBoundsMs.size();
    const std::string bound =
        last ? "+Inf" : fmt::format("{}", shm::TrafficSums::kBoundsMs[i] / 1000.0);
    page.Sample(LabelsOf(traffic, fmt::format(",le=\"{}\"", bound)), up_to, "_bucket");
  }
  page.Sample(LabelsOf(traffic), static_cast<double>(sums.time_ms) / 1000, "_sum");
  page.Sample(LabelsOf(traffic), up_to, "_count");
}

// Of living workers, whose slots are few and used again: a process number would make a new series
// with each reload.
struct LimitMetric {
  std::string_view name;
  std::atomic<uint64_t> shm::WorkerPulse::*value;
  std::string_view help;
};
constexpr std::array kLimits = std::to_array<LimitMetric>({
    {"connections", &shm::WorkerPulse::connections,
     "connections to clients, upstreams and all others"},
    {"connections_limit", &shm::WorkerPulse::connections_max, "worker_connections"},
    {"open_files", &shm::WorkerPulse::files, "open descriptors"},
    {"open_files_limit", &shm::WorkerPulse::files_max, "descriptors that may be open"},
});

}  // namespace

void AddTraffic(const StatusSource& source, MetricsText& page) {
  const std::vector<UpstreamTraffic> all = TrafficOf(source);
  if (all.empty()) return;
  page.Begin("limpet_requests", true,
             "requests passed to the upstream, by what became of their session ($sticky_status)");
  for (const UpstreamTraffic& traffic : all) AddStickyWords(traffic, page);
  page.Begin("limpet_upstream_responses", true,
             "answers to those requests by class, also where no server has given one");
  for (const UpstreamTraffic& traffic : all) {
    for (size_t i = 1; i < shm::TrafficSums::kClasses; ++i)
      page.Sample(LabelsOf(traffic, fmt::format(",code=\"{}xx\"", i)), traffic.sums.by_class[i]);
  }
  page.BeginHistogram("limpet_upstream_response_time_seconds",
                      "time at the upstream's servers until the whole answer was there, all tries "
                      "together; without WebSockets");
  for (const UpstreamTraffic& traffic : all) AddTimes(traffic, page);
  page.Begin("limpet_upstream_queue", false, "requests that wait for a server (queue)");
  for (const UpstreamTraffic& traffic : all) page.Sample(LabelsOf(traffic), traffic.sums.waiting);
  page.Begin("limpet_upstream_queue_limit", false, "requests that may wait in each worker");
  for (const UpstreamTraffic& traffic : all) {
    if (traffic.conf != nullptr) page.Sample(LabelsOf(traffic), traffic.conf->queue.limit);
  }
}

void AddWorkerLimits(const StatusSource& source, MetricsText& page) {
  if (source.pulses == nullptr) return;
  for (const LimitMetric& metric : kLimits) {
    page.Begin(fmt::format("limpet_worker_{}", metric.name), false,
               fmt::format("{}, of the worker in that slot", metric.help));
    for (size_t slot = 0; slot < source.pulses->slots.size(); ++slot) {
      const shm::WorkerPulse& pulse = source.pulses->slots[slot];
      if (pulse.beat_ms.load(kRelaxed) == 0) continue;
      page.Sample(fmt::format("{{slot=\"{}\"}}", slot), (pulse.*metric.value).load(kRelaxed));
    }
  }
}

void AddCertificates(const StatusSource& source, MetricsText& page) {
  if (source.certificate_ends.empty()) return;
  page.Begin("limpet_certificate_not_after_timestamp_seconds", false,
             "when the certificate, or one of its chain, ends, since 1970");
  for (const CertificateEnd& certificate : source.certificate_ends) {
    page.Sample(fmt::format("{{certificate=\"{}\",server=\"{}\"}}", Label(certificate.file),
                            Label(certificate.server)),
                certificate.not_after_s);
  }
}

}  // namespace limpet::worker
