#include "worker/store/store_follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <compare>
#include <optional>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace limpet::worker {
namespace {

using namespace std::chrono_literals;

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kBlock = 1000ms;            // the longest silence of a server that has no news
constexpr size_t kMostChanges = 512;       // of one answer: some 100 microseconds of work
constexpr uint32_t kSlotsPerPiece = 8192;  // some tens of microseconds
constexpr uint64_t kPieceEveryMs = 10;
constexpr uint64_t kAgainMs = 5'000;
constexpr uint64_t kVerifyEveryMs = 1'000;
constexpr uint64_t kRelayEveryMs = 20;
constexpr size_t kMostRelayed = 1024;  // at once
// What a server has taken so shortly before it was lost, another that takes its place may lack.
constexpr uint64_t kUnsafeMs = 10'000;
constexpr size_t kMostBacklog = 2048;  // of changes, beside which sessions are offered

StoreLink::Options LinkOptions(const StoreZone& zone) {
  return {.patience = kBlock + zone.conf().connect_timeout,
          .limits = {},
          .greeting = {},
          .probe = zone.Probe()};
}

struct StreamId {
  uint64_t ms = 0;
  uint64_t count = 0;
  auto operator<=>(const StreamId&) const = default;
};

// "1700000000000-5"
std::optional<StreamId> ParseId(std::string_view text) {
  const size_t dash = std::min(text.find('-'), text.size());
  const auto ms = ParseDecimal(text.substr(0, dash));
  const auto count = ParseDecimal(text.substr(std::min(dash + 1, text.size())));
  return ms && count ? std::optional(StreamId{*ms, *count}) : std::nullopt;
}

}  // namespace

StoreFollower::StoreFollower(StoreZone& zone, StoreClient& client)
    : zone_(zone),
      client_(client),
      lease_(&zone.state().follow_mutex()),
      link_(zone.env().link, LinkOptions(zone), *this),
      lease_timer_(zone.loop(), Callback::To<&StoreFollower::OnLeaseTimer>(this)),
      offer_timer_(zone.loop(), Callback::To<&StoreFollower::OnOfferTimer>(this)),
      relay_timer_(zone.loop(), Callback::To<&StoreFollower::OnRelayTimer>(this)),
      again_timer_(zone.loop(), Callback::To<&StoreFollower::OnAgainTimer>(this)) {}

void StoreFollower::Stop() {
  lease_timer_.Disarm();
  offer_timer_.Disarm();
  relay_timer_.Disarm();
  again_timer_.Disarm();
  link_.Stop();
  passed_ = 0;  // another worker passes it again
  verify_.clear();
  lease_.Release();
}

void StoreFollower::OnLeaseTimer() {
  if (!lease_.TryTake()) return lease_timer_.Arm(shm::Lease::kRetryMs);
  const uint64_t lost = zone_.figures().lost_ms.load(kRelaxed);  // which other workers have noticed
  lost_ms_ = lost != 0 ? std::min(lost, BootMs()) : BootMs();
  relay_timer_.Arm(kRelayEveryMs);
  link_.Start();
}

void StoreFollower::OnUp() {
  caught_up_ = false;
  if (!unreadable_ && HasLast()) return AskIfThere(verify_.empty() ? LastId() : verify_);
  if (!unreadable_) return OnGap();
  asked_ = Asked::kTime;
  link_.Send(RespCommand({"TIME"}));
}

// Changes that are there and make the connection break would do so for ever.
void StoreFollower::OnDown() {
  again_timer_.Disarm();  // OnUp asks then
  unreadable_ = asked_ == Asked::kChanges && link_.spoke_nonsense();
  const bool heard = std::exchange(asked_, Asked::kNothing) == Asked::kChanges;
  if (lost_ms_ == 0) lost_ms_ = heard ? asked_ms_ : BootMs();
  NoteDeaf(link_.why());
}

// Workers may be there and ask while this connection cannot be made: Redis has no room for another,
// perhaps. Sessions that move or end elsewhere are then as they were here, which nobody would know.
void StoreFollower::NoteDeaf(std::string_view why) {
  shm::StoreFigures& figures = zone_.figures();
  const uint64_t since = DeafSince(), now = BootMs();
  const bool is_early = now - std::min(now, since) < shm::StoreFigures::kDeafMs;
  if (is_early || figures.lost_ms.load(kRelaxed) != 0) return;
  if (figures.deaf_told.exchange(1, kRelaxed) != 0) return;  // by this worker, or one before it
  figures.losses.fetch_add(1, kRelaxed);
  zone_.Say(
      LogLevel::kError,
      fmt::format("session store \"{}\" ({}) is lost: what other machines change is not heard, "
                  "{}; zone \"{}\" goes on alone",
                  zone_.conf().name, link_.where(), why, zone_.env().zone.name),
      true);
}

uint64_t StoreFollower::DeafSince() {
  const uint64_t now = BootMs();
  uint64_t since = 0;
  return zone_.figures().deaf_ms.compare_exchange_strong(since, now, kRelaxed) ? now : since;
}

void StoreFollower::NoteHeard() {
  if (zone_.figures().deaf_ms.load(kRelaxed) == 0) return;
  const uint64_t since = zone_.figures().deaf_ms.exchange(0, kRelaxed);
  if (zone_.figures().deaf_told.exchange(0, kRelaxed) == 0) return;
  zone_.Say(LogLevel::kNotice,
            fmt::format("session store \"{}\" ({}) is back after {} s for zone \"{}\": what other "
                        "machines change is heard",
                        zone_.conf().name, link_.where(), (BootMs() - since + 500) / 1000,
                        zone_.env().zone.name),
            true);
}

bool StoreFollower::HasLast() const { return zone_.state().last_ms.load(kRelaxed) != 0; }

// Where a gap has been passed over, the id is a time, and no change's.
bool StoreFollower::HasRead() const {
  const shm::StoreState& state = zone_.state();
  return HasLast() &&
         (state.last_count.load(kRelaxed) != 0 || state.last_ms.load(kRelaxed) != readable_from_);
}

std::string StoreFollower::LastId() const {
  return fmt::format("{}-{}", zone_.state().last_ms.load(kRelaxed),
                     zone_.state().last_count.load(kRelaxed));
}

void StoreFollower::AskIfThere(std::string_view id) {
  asked_ = Asked::kLast;
  link_.Send(RespCommand({"XRANGE", zone_.StreamName(), id, id}));
}

void StoreFollower::AskForChanges() {
  asked_ = Asked::kChanges;
  if (verify_.empty() && HasRead() && !offers_due_) verify_ = LastId();
  asked_ms_ = BootMs();
  // After a gap, and where nobody has heard, an answer comes even without changes: it is waited
  // for.
  const bool is_awaited = offers_due_ || zone_.figures().deaf_ms.load(kRelaxed) != 0;
  const auto block = std::to_string(is_awaited ? 1 : kBlock.count());
  link_.Send(RespCommand({"XREAD", "COUNT", std::to_string(kMostChanges), "BLOCK", block, "STREAMS",
                          zone_.StreamName(), LastId()}));
}

void StoreFollower::OnReply(RespReply& reply) {
  if (reply.type == RespReply::Type::kError) {
    if (IsOfServer(reply.text)) return link_.BreakFor(reply);
    NoteDeaf(reply.text);
    client_.Complain(reply);
    return again_timer_.Arm(kAgainMs);
  }
  switch (asked_) {
    case Asked::kLast:
      return OnLast(reply);
    case Asked::kTime:
      return OnTime(reply);
    default:
      return OnChanges(reply);
  }
}

// Rights may be given meanwhile.
void StoreFollower::OnAgainTimer() {
  if (link_.up()) OnUp();
}

// [seconds, microseconds]
void StoreFollower::OnTime(const RespReply& reply) {
  if (reply.elements.size() != 2) return link_.Break("its time is none");
  const auto seconds = ParseDecimal(reply.elements[0].text);
  const auto micros = ParseDecimal(reply.elements[1].text);
  if (!seconds || !micros) return link_.Break("its time is none");
  unreadable_ = false;
  readable_from_ = *seconds * 1000 + *micros / 1000;
  zone_.figures().invalid.fetch_add(1, kRelaxed);
  OnGap();
}

void StoreFollower::OnLast(const RespReply& reply) {
  if (reply.elements.empty()) {
    if (lost_ms_ == 0) lost_ms_ = asked_ms_;
    return OnGap();
  }
  if (lost_ms_ != 0 && zone_.state().all_due.load(kRelaxed) != 0) {
    offers_due_ = true;  // a gap has not been closed yet, maybe by another worker
  } else {
    if (lost_ms_ != 0) BeginOffers(lost_ms_ - std::min(lost_ms_, kUnsafeMs));
    lost_ms_ = 0;
  }
  verify_.clear();
  verify_at_ms_ = BootMs() + kVerifyEveryMs;
  AskForChanges();
}

// What happened since `lost_ms_` may not be in the stream. What is read from its begin has been
// applied before, up to the last one.
void StoreFollower::OnGap() {
  shm::StoreState& state = zone_.state();
  const StreamId last{state.last_ms.load(kRelaxed), state.last_count.load(kRelaxed)};
  const StreamId heard{state.heard_ms.load(kRelaxed), state.heard_count.load(kRelaxed)};
  state.heard_count.store(std::max(last, heard).count, kRelaxed);
  state.heard_ms.store(std::max(last, heard).ms, kRelaxed);
  state.last_ms.store(readable_from_, kRelaxed);
  state.last_count.store(0, kRelaxed);
  state.unsure_before_ms.store(lost_ms_, kRelaxed);
  state.all_due.store(1, kRelaxed);
  verify_.clear();
  offers_due_ = true;
  AskForChanges();
}

// [[stream, [[id, ["c", change]], …]]], or nil when nothing has come.
void StoreFollower::OnChanges(const RespReply& reply) {
  size_t count = 0;
  if (reply.type == RespReply::Type::kArray) {
    const bool is_stream = reply.elements.size() == 1 && reply.elements[0].elements.size() == 2;
    if (!is_stream) return link_.Break("its answer is no stream");
    for (const RespReply& change : reply.elements[0].elements[1].elements) {
      if (!Apply(change)) return link_.Break("its stream has an entry without an id");
      ++count;
    }
  }
  NoteHeard();
  shm::StoreState& state = zone_.state();
  (void)state.Next(WallMs());  // a clock that has been set right shows, also where nothing changes
  if (state.all_due.load(kRelaxed) != 0 && !offers_due_ && !offer_timer_.armed()) BeginOffers(0);
  if (count < kMostChanges) caught_up_ = true;
  // All that there is has been read: ends of sessions, too, that must not be undone. What was
  // missed is older than this answer: where another machine has changed a session, the store says
  // so to what is offered from now on.
  if (count < kMostChanges && std::exchange(offers_due_, false)) {
    BeginOffers(0);
    lost_ms_ = 0;
  }
  // Who is that far behind may have been overtaken by the stream's end, and the stream may have
  // been emptied (FLUSHALL): both without a word.
  const bool is_due = count == kMostChanges || BootMs() >= verify_at_ms_;
  if (is_due && !verify_.empty()) return AskIfThere(verify_);
  AskForChanges();
}

bool StoreFollower::Apply(const RespReply& change) {
  const auto id = change.elements.empty() ? std::nullopt : ParseId(change.elements[0].text);
  if (!id) return false;
  const bool has_text = change.elements.size() == 2 && change.elements[1].elements.size() == 2;
  const std::string_view text = has_text ? change.elements[1].elements[1].text : std::string_view();
  if (const auto key = DecodeKey(text.substr(0, StoreKey::kSize))) {
    const StoreZone::Heard heard = HowHeard(*key, id->ms, id->count);
    const bool agrees = zone_.Take(*key, text.substr(StoreKey::kSize), heard);
    if (!agrees && heard.known_ms != 0 && !offers_due_) OfferInstead(*key, heard.known_ms);
    if (!agrees) client_.TellEndAgain(*key, text.substr(StoreKey::kSize));
  } else {
    zone_.figures().invalid.fetch_add(1, kRelaxed);
  }
  // Behind it: should we die in between, the next one applies it again.
  zone_.state().last_count.store(id->count, kRelaxed);
  zone_.state().last_ms.store(id->ms, kRelaxed);
  return true;
}

// What was applied before, and what is in the stream since before this machine began, may be older
// than what the zone has.
StoreZone::Heard StoreFollower::HowHeard(const StoreKey& key, uint64_t id_ms,
                                         uint64_t id_count) const {
  const shm::StoreState& state = zone_.state();
  const StreamId heard{state.heard_ms.load(kRelaxed), state.heard_count.load(kRelaxed)};
  const bool again = StreamId{id_ms, id_count} <= heard;
  if (!again && (heard != StreamId{} || id_ms >= zone_.UnsureBeforeWallMs()))
    return {.source = StoreZone::Source::kStream, .was_there = !caught_up_};
  const shm::Found here = zone_.sessions().Peek(key.ToSessionKey(), BootMs());
  const auto idle = static_cast<uint64_t>(here.idle.count());
  return {.source = again ? StoreZone::Source::kRepeat : StoreZone::Source::kStream,
          .known_ms = zone_.KnownUntil(idle, again),
          .was_there = !caught_up_};
}

// The store says which of the two is newer.
void StoreFollower::OfferInstead(const StoreKey& key, uint64_t known_ms) {
  const shm::Found here = zone_.sessions().Peek(key.ToSessionKey(), BootMs());
  if (here.result != shm::LookupResult::kHit || client_.backlog() >= kMostBacklog) return;
  const auto idle = static_cast<uint64_t>(here.idle.count());
  client_.Offer(key, zone_.sessions().PeerName(here.peer), known_ms, idle);
}

// Sessions of the zone that were used since then, as the machine knew them when it was cut off. All
// of them, if that was once begun and has not come to its end.
void StoreFollower::BeginOffers(uint64_t used_since_ms) {
  const bool all = zone_.state().all_due.load(kRelaxed) != 0;
  const bool again = offer_timer_.armed();  // it was lost before all were offered
  const uint32_t since = all || used_since_ms == 0 ? 0 : shm::TickOf(used_since_ms);
  const uint64_t away = BootMs() - std::min(BootMs(), lost_ms_);
  const uint64_t unsure = zone_.UnsureBeforeWallMs();
  const uint64_t as_of = all && unsure != 0 ? unsure : WallMs() - away;
  walk_ = {.more = zone_.sessions().Live() != 0};
  offers_since_ = again ? std::min(offers_since_, since) : since;
  offers_as_of_ms_ = again ? std::min(offers_as_of_ms_, as_of) : as_of;
  offer_timer_.Arm(kPieceEveryMs);
}

void StoreFollower::OnRelayTimer() {
  relay_timer_.Arm(kRelayEveryMs);
  if (TellRelayed()) relay_timer_.Arm(1);
}

// What the API, the command line and workers have left. It stays in shared memory, where it
// outlives this worker, until the store has answered. True: there is more.
bool StoreFollower::TellRelayed() {
  if (client_.passed_unanswered() > 0) return passed_ == kMostRelayed;
  const bool refused = client_.passed_in_vain();
  if (passed_ > 0 && !refused) zone_.state().relay.Drop(passed_);
  passed_ = 0;
  if (!client_.TakesPassed() || client_.backlog() >= kMostBacklog) return false;
  std::array<shm::RelayedChange, kMostRelayed> changes;
  passed_ = zone_.state().relay.Peek(std::span(changes).first(refused ? 1 : kMostRelayed));
  client_.BeginPassing();
  for (const shm::RelayedChange& change : std::span(changes).first(passed_)) {
    const bool lives = change.peer != shm::kNoPeer;
    const std::string server = lives ? ServerOf(change) : "";
    if (lives && server.empty()) continue;  // it has gone meanwhile: that is no end of the session
    client_.Pass({change.tag, change.extra}, {change.time, zone_.state().machine()}, server);
  }
  return passed_ == kMostRelayed;
}

std::string StoreFollower::ServerOf(const shm::RelayedChange& change) const {
  const shm::PeerDirectory& peers = zone_.sessions().peers();
  const auto is_it = [&change](const std::string& name) {
    return !name.empty() && shm::StoreRelay::CheckOf(name) == change.check;
  };
  if (std::string name = peers.Name(change.peer); is_it(name)) return name;
  for (uint32_t i = 0; i < peers.size(); ++i) {
    if (std::string name = peers.Name(static_cast<uint16_t>(i)); is_it(name)) return name;
  }
  return "";
}

void StoreFollower::OnOfferTimer() {
  if (walk_.more && client_.up() && client_.backlog() < kMostBacklog) OfferPiece();
  if (walk_.more || client_.backlog() > 0)
    return offer_timer_.Arm(client_.up() ? kPieceEveryMs : kAgainMs);
  if (!offers_due_) zone_.state().all_due.store(0, kRelaxed);
}

void StoreFollower::OfferPiece() {
  const uint64_t now = BootMs();
  const uint32_t now_tick = shm::TickOf(now);
  for (const shm::SessionRecord& session :
       zone_.sessions().UsedSince(offers_since_, kSlotsPerPiece, &walk_)) {
    const shm::Found found = zone_.sessions().Judge(session.last_tick, session.peer(), now);
    if (found.result != shm::LookupResult::kHit || session.last_tick > now_tick) continue;
    const auto idle = static_cast<uint64_t>(found.idle.count());
    const StoreKey key = StoreKey::Of(session);
    client_.Offer(key, zone_.sessions().PeerName(session.peer()),
                  std::min(StoreZone::LastUseWallMs(idle), offers_as_of_ms_), idle);
  }
}

}  // namespace limpet::worker
