#include "worker/store/store_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "worker/store/store_script.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kTellEveryMs = 60'000;

std::string ScriptHash() {
  std::string hex;
  for (const uint8_t byte : Sha1(kPutScript)) hex += fmt::format("{:02x}", byte);
  return hex;
}

StoreLink::Options LinkOptions(const StoreZone& zone) {
  return {.patience = zone.conf().connect_timeout,
          .limits = {},
          .greeting = {RespCommand({"SCRIPT", "LOAD", kPutScript})},
          .probe = zone.Probe()};
}

}  // namespace

StoreClient::StoreClient(StoreZone& zone)
    : zone_(zone),
      gauges_(zone.figures().workers.Of(::getpid())),
      link_(zone.env().link, LinkOptions(zone), *this),
      script_hash_(ScriptHash()),
      outbox_(zone.conf().queue),
      question_timer_(zone.loop(), Callback::To<&StoreClient::OnQuestionTimer>(this)),
      again_timer_(zone.loop(), Callback::To<&StoreClient::OnAgainTimer>(this)),
      finish_timer_(zone.loop(), Callback::To<&StoreClient::OnFinished>(this)),
      finished_(zone.loop(), Callback::To<&StoreClient::OnFinished>(this)) {}

StoreClient::~StoreClient() { Stop(); }

void StoreClient::Stop() {
  link_.Stop();
  HandOverAll();
  again_timer_.Disarm();
  NoteWhetherAsking();
  EndAll();
}

void StoreClient::Finish(Callback on_empty) {
  on_empty_ = on_empty;
  finish_timer_.Arm(zone_.conf().connect_timeout);
  LookIfFinished();
}

void StoreClient::LookIfFinished() {
  if (on_empty_ && backlog() == 0) finished_.Schedule();
}

void StoreClient::OnFinished() {
  finish_timer_.Disarm();
  if (backlog() > 0) Stop();
  if (on_empty_) std::exchange(on_empty_, Callback())();
}

void StoreClient::OnUp() {
  NoteWhetherAsking();
  SayBack();
  Pump();
}

// What ends sessions is left in shared memory: this worker may end before the store is back.
void StoreClient::OnDown() {
  for (; !in_flight_.empty(); in_flight_.pop_back()) {
    Sent& sent = in_flight_.back();
    if (sent.kind == Kind::kPut) PutBack(std::move(sent.change));
  }
  unanswered_ = puts_unanswered_ = passed_unanswered_ = 0;
  passed_in_vain_ = true;
  PutBackAll();
  if (!lost_) outbox_.TakeEnds([this](const StoreChange& change) { return Leave(change); });
  again_timer_.Disarm();
  CountWaiting();
  NoteWhetherAsking();
  SayLost();
  EndAll();
}

void StoreClient::OnReply(RespReply& reply) {
  if (BreaksLink(reply)) return;
  NoteWhetherAsking();  // any answer closes the circuit
  Sent sent = std::move(in_flight_.front());
  in_flight_.pop_front();
  switch (sent.kind) {
    case Kind::kGet: {
      if (reply.type == RespReply::Type::kError) Complain(reply);
      Sent& whole = AsksForAge() ? in_flight_.front() : sent;
      whole.found = reply.type == RespReply::Type::kString;
      whole.record = std::move(reply.text);
      return AsksForAge() ? void() : OnRecord(sent, 0);
    }
    case Kind::kTtl:
      return OnRecord(sent, reply.integer);
    case Kind::kIdle:
      return OnIdleReply(sent, reply);
    case Kind::kPut:
      --unanswered_;
      --puts_unanswered_;
      OnPutReply(sent, reply);
      return Pump();
    case Kind::kRenew:
      --unanswered_;
      OnRenewReply(sent, reply);
      return Pump();
  }
}

bool StoreClient::BreaksLink(const RespReply& reply) {
  if (reply.type != RespReply::Type::kError || !IsOfServer(reply.text)) return false;
  link_.BreakFor(reply);
  return true;
}

// What is wrong with one key, or with our rights, another connection would not mend.
void StoreClient::Complain(const RespReply& reply) {
  figures().invalid.fetch_add(1, kRelaxed);
  if (!MaySay(&told_refusal_ms_)) return;
  const std::string said = reply.type == RespReply::Type::kError
                               ? fmt::format("it says \"{}\"", EscapeForLog(reply.text))
                               : std::string("its answer is of another kind");
  zone_.Say(LogLevel::kError,
            fmt::format("session store \"{}\" ({}) has refused a command for zone \"{}\": {}",
                        zone_.conf().name, link_.where(), zone_.env().zone.name, said),
            true);
}

bool StoreClient::MaySay(uint64_t* told_ms) const {
  const uint64_t now = zone_.loop().NowMs();
  if (now < *told_ms) return false;
  *told_ms = now + kTellEveryMs;
  return true;
}

void StoreClient::CountWaiting() {
  const size_t own = backlog() - passed_unanswered_;  // the relay counts the others
  gauges_.waiting.store(static_cast<uint32_t>(own), kRelaxed);
}

void StoreClient::NoteWhetherAsking() {
  const bool asks = link_.up() && link_.circuit().closed();
  gauges_.asking.store(asks ? 1 : 0, kRelaxed);
}

// One line for all workers, whoever notices first; not of those that only come back later.
void StoreClient::SayLost() {
  if (std::exchange(lost_, true)) return;
  uint64_t there = 0;
  if (!figures().lost_ms.compare_exchange_strong(there, BootMs(), kRelaxed)) return;
  figures().losses.fetch_add(1, kRelaxed);
  figures().dropped_before.store(figures().dropped.load(kRelaxed), kRelaxed);
  zone_.Say(LogLevel::kError,
            fmt::format("session store \"{}\" ({}) is lost: {}; zone \"{}\" goes on alone",
                        zone_.conf().name, link_.where(), link_.why(), zone_.env().zone.name),
            true);
}

void StoreClient::SayBack() {
  lost_ = false;
  const uint64_t since = figures().lost_ms.exchange(0, kRelaxed);
  if (since == 0) return;
  // Until now nobody could hear of changes: from here on whoever listens has its time to begin.
  if (uint64_t deaf = figures().deaf_ms.load(kRelaxed); deaf != 0)
    figures().deaf_ms.compare_exchange_strong(deaf, BootMs(), kRelaxed);
  const uint64_t dropped =
      figures().dropped.load(kRelaxed) - figures().dropped_before.load(kRelaxed);
  zone_.Say(LogLevel::kNotice,
            fmt::format("session store \"{}\" ({}) is back after {} s for zone \"{}\": {} changes "
                        "waited, {} were dropped",
                        zone_.conf().name, link_.where(), (BootMs() - since + 500) / 1000,
                        zone_.env().zone.name, zone_.state().Waiting(), dropped),
            true);
}

}  // namespace limpet::worker
