// Variables that tell of the process, of all workers together, and of the time.
#include <unistd.h>

#include <ctime>

#include "base/clock.h"
#include "base/text.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

namespace {

Value SumOf(Exchange& exchange, std::atomic<int64_t> shm::WorkerCounters::*gauge) {
  return Formatted(exchange, "{}", exchange.runtime().counters.Sum(gauge));
}

std::string ReadHostname() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return ToLower(name);
}

}  // namespace

Value GetConnectionsActive(Exchange& exchange) {
  return SumOf(exchange, &shm::WorkerCounters::active);
}
Value GetConnectionsReading(Exchange& exchange) {
  return SumOf(exchange, &shm::WorkerCounters::reading);
}
Value GetConnectionsWaiting(Exchange& exchange) {
  return SumOf(exchange, &shm::WorkerCounters::waiting);
}
Value GetConnectionsWriting(Exchange& exchange) {
  return SumOf(exchange, &shm::WorkerCounters::writing);
}

Value GetDateGmt(Exchange& exchange) {  // the form of $date_local, which is not that of Date
  const time_t now = exchange.runtime().WallSeconds();
  tm utc{};
  char text[64];
  const size_t size =
      std::strftime(text, sizeof text, "%A, %d-%b-%Y %H:%M:%S GMT", ::gmtime_r(&now, &utc));
  return Value::Of(exchange.arena().Copy({text, size}));
}

Value GetDateLocal(Exchange& exchange) {
  return Value::Of(exchange.arena().Copy(FormatLocalDate(exchange.runtime().WallSeconds())));
}

Value GetHostname(Exchange&) {
  static const std::string name = ReadHostname();
  return Value::Of(name);
}

Value GetPid(Exchange& exchange) { return Formatted(exchange, "{}", ::getpid()); }

// The version whose language and behaviour limpet follows: configurations compare it.
Value GetNginxVersion(Exchange&) { return Value::Of("1.31.5"); }

Value GetMsec(Exchange& exchange) {
  const WallTime now = Now();
  return Formatted(exchange, "{}.{:03}", now.seconds, now.milliseconds);
}

Value GetTimeIso8601(Exchange& exchange) {
  return Value::Of(exchange.arena().Copy(exchange.runtime().Iso8601()));
}

Value GetTimeLocal(Exchange& exchange) {
  return Value::Of(exchange.arena().Copy(exchange.runtime().LogTime()));
}

}  // namespace limpet::worker
