#include "master/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <set>
#include <utility>

#include "base/clock.h"
#include "worker/worker.h"

namespace limpet::master {
namespace {

constexpr std::chrono::milliseconds kPatience{5};
constexpr std::chrono::milliseconds kPatienceAtEnd{2000};

// Each binary's slots begin where no other's do.
uint32_t BinaryId(int32_t first_slot) { return static_cast<uint32_t>(first_slot) + 1; }

// The servers whose sessions a zone may hold. Not all are known while a name has not been answered:
// sessions from before a restart wait for its servers.
struct ZoneServers {
  std::vector<std::string> ids;
  bool complete = true;
};

ZoneServers ServersOf(const conf::Http& http, const SharedMemory::View& view, size_t zone) {
  ZoneServers servers;
  for (const auto& upstream : http.upstreams) {
    const conf::Sticky& sticky = upstream->sticky;
    if (sticky.kind != conf::StickyKind::kLearn) continue;
    if (sticky.learn.zone != static_cast<int>(zone)) continue;
    shm::PeerStates* states = view.peer_states[static_cast<size_t>(upstream->index)].get();
    for (std::string& id : worker::ServerIds(*upstream, states)) {
      servers.ids.push_back(std::move(id));
    }
    servers.complete &= states == nullptr || states->AllNamesKnown();
  }
  return servers;
}

// How many peers the names of an upstream may give: one for each KiB of its zone. The size may be
// written in another upstream that has the same one.
uint32_t PlacesFor(const conf::Http& http, const conf::Upstream& upstream) {
  constexpr size_t kLeast = 64;
  size_t size = 0;
  for (const auto& other : http.upstreams) {
    if (other->zone == upstream.zone) size = std::max(size, other->zone_size);
  }
  return static_cast<uint32_t>(std::max(kLeast, size / 1024));
}

// Changes whenever names have given other servers to an upstream that learns sessions; 0: none may.
uint64_t NamesVersion(const conf::Http& http, const SharedMemory::View& view) {
  uint64_t version = 0;
  for (const auto& upstream : http.upstreams) {
    const auto& states = view.peer_states[static_cast<size_t>(upstream->index)];
    if (upstream->sticky.kind != conf::StickyKind::kLearn || states == nullptr) continue;
    if (states->resolved() != nullptr) version += states->resolved()->version();
  }
  return version;
}

}  // namespace

SharedMemory::SharedMemory(shm::Zone figures, shm::Zone status_zone)
    : figures_zone_(std::move(figures)),
      figures_(new (figures_zone_.data()) Figures),
      status_zone_(std::move(status_zone)),
      traffic_(status()->traffic) {
  figures_->counters.started_s.store(Now().seconds, std::memory_order_relaxed);
}

Result<std::unique_ptr<SharedMemory>> SharedMemory::Create() {
  auto zone = shm::Zone::Anonymous(sizeof(Figures));
  if (!zone) return zone.error();
  auto status = shm::Zone::Anonymous(sizeof(shm::StatusMemory));
  if (!status) return status.error();
  return std::unique_ptr<SharedMemory>(new SharedMemory(std::move(*zone), std::move(*status)));
}

void SharedMemory::Inherit(std::string_view notes) {
  if (notes.empty()) return;
  inherited_.emplace(notes);
  first_slot_ = inherited_->first_slot();
  next_first_slot_ = first_slot_ + shm::kMaxWorkerSlots;
  left_sessions_ = inherited_->sessions();
  // Of all slots the last is used least; sums do not care.
  shm::WorkerCounters& sums = figures_->counters.slots.back();
  sums.accepted = inherited_->counters().accepted;
  sums.handled = inherited_->counters().handled;
  sums.requests = inherited_->counters().requests;
  traffic_.GoOnFrom(inherited_->traffic());
  GoOnFrom(inherited_->incidents(), figures_->counters.incidents, status()->mishaps);
}

Bequest SharedMemory::Bequeath() {
  using C = shm::WorkerCounters;
  const shm::Counters& all = figures_->counters;
  limits_.AdmitOthers();
  if (book_ != nullptr) {
    peer_states_.TellUsedPlaces();
    book_->Admit(BinaryId(next_first_slot_));
  }
  BringNews();
  Bequest bequest;
  books_.Bequeath(&bequest);
  limits_.Bequeath(&bequest);
  stores_.Bequeath(&bequest);
  quotas_.Bequeath(&bequest);
  tls_sessions_.Bequeath(&bequest);
  bequest.AddSessions(Leaves());
  // Never the same twice: workers of a binary that was killed may still be there.
  bequest.AddFirstSlot(std::exchange(next_first_slot_, next_first_slot_ + shm::kMaxWorkerSlots));
  bequest.AddCounters({all.Sum(&C::accepted), all.Sum(&C::handled), all.Sum(&C::requests)});
  bequest.AddIncidents(CountedIncidents(figures_->counters.incidents, status()->mishaps));
  bequest.AddTraffic(traffic_.Counted());
  return bequest;
}

Result<SharedMemory::View> SharedMemory::Attach(const conf::Config& config, const Log& log) {
  View view;
  auto inherited = std::exchange(inherited_, std::nullopt);  // closes what is not taken
  if (!config.http) return view;
  const conf::Http& http = *config.http;
  Inheritance* const left = inherited ? &*inherited : nullptr;
  attaching_ = true;
  // First what finds a configuration wrong, or memory too small, and changes nothing of what
  // serves.
  if (auto status = AttachKept(http, left, log, &view); !status) return status.error();
  OpenBook(left, log);
  if (auto status = AttachPeers(http, &view); !status) return status.error();
  if (auto status = AttachSessions(config, log, &view); !status) return status.error();
  const auto quotas = FindQuotas(http, left, log);
  if (!quotas) return quotas.error();
  constexpr auto kWhy = SessionStore::Why::kReload;
  if (auto status = MoveSessions(config, *quotas, kWhy, log, &view); !status) return status.error();
  SetServers(config, view);
  FollowNames(config, view, MonotonicMs());
  return view;
}

// New zones, and memory for those that others have in another size.
Status SharedMemory::AttachSessions(const conf::Config& config, const Log& log, View* view) {
  for (const conf::SessionZone& zone : config.http->session_zones) {
    auto& store = sessions_[zone.name];
    if (store) {
      if (auto status = store->Prepare(config, zone); !status) return status;
    } else {
      auto opened = SessionStore::Open(HomeOf(config, zone.name), config, zone, log);
      if (!opened) return opened.error();
      store = std::move(*opened);
      new_sessions_.push_back(zone.name);
    }
    view->sessions.push_back(store->table());
  }
  return {};
}

// Before the workers: each has a copy of the tables' views.
Status SharedMemory::MoveSessions(const conf::Config& config, const Quotas& quotas,
                                  SessionStore::Why why, const Log& log, View* view) {
  Status all;
  for (size_t i = 0; i < quotas.size(); ++i) {
    const conf::SessionZone& zone = config.http->session_zones[i];
    const auto store = sessions_.find(zone.name);
    if (store == sessions_.end() || !store->second) continue;
    if (auto status = store->second->Reconfigure(config, zone, why, log); !status) all = status;
    view->sessions[i]->set_quota(quotas[i]);
  }
  return all;
}

// Beside an old binary, where that has the zone.
const std::string& SharedMemory::HomeOf(const conf::Config& config, const std::string& zone) const {
  if (!left_sessions_) return config.pid_path;
  const auto left = std::ranges::find(*left_sessions_, zone, &LeftSessions::zone);
  return left == left_sessions_->end() ? config.pid_path : left->home;
}

uint64_t SharedMemory::Moves() const {
  uint64_t moves = 0;
  for (const auto& [name, store] : sessions_) moves += store ? store->moves() : 0;
  return moves;
}

Status SharedMemory::AttachPeers(const conf::Http& http, View* view) {
  for (const conf::StatusZone& wanted : http.status_zones) {
    auto zone = status_zones_.Find(wanted);
    if (!zone) return zone.error();
    view->status_zones.push_back(std::move(*zone));
  }
  for (const auto& upstream : http.upstreams) view->traffic.push_back(traffic_.Find(*upstream));
  for (const auto& upstream : http.upstreams) {
    view->peer_states.push_back(
        upstream->zone.empty()
            ? nullptr
            : peer_states_.Attach(upstream->name, worker::PeerIdentities(*upstream),
                                  worker::ResolvedNames(*upstream), PlacesFor(http, *upstream)));
    if (!upstream->zone.empty() && view->peer_states.back() == nullptr) {
      return Error{std::make_error_code(std::errc::not_enough_memory),
                   fmt::format("no memory for the peers of upstream \"{}\"", upstream->name)};
    }
  }
  return {};
}

bool SharedMemory::TakeBack() {
  for (auto& [name, store] : sessions_) {
    if (!store) continue;
    store->Unprepare();
    if (attaching_) store->table()->set_quota(nullptr);
  }
  for (const std::string& name : std::exchange(new_sessions_, {})) {
    sessions_[name]->GiveBack();
    sessions_.erase(name);
  }
  std::erase_if(sessions_, [](const auto& entry) { return entry.second == nullptr; });
  limits_.TakeBack();
  stores_.TakeBack();
  quotas_.TakeBack();
  tls_sessions_.TakeBack();
  return std::exchange(attaching_, false);
}

// Without it everything else works: what another binary has is not counted here.
void SharedMemory::OpenBook(Inheritance* inherited, const Log& log) {
  if (book_ != nullptr) return;
  auto book = books_.Find({"connections", shm::PeerBook::Bytes(), ""}, inherited, log);
  if (!book) {
    LIMPET_LOG(log, LogLevel::kError, "{}", book.error().message);
    return;
  }
  book_ = *book;
  book_->Join(BinaryId(first_slot_));
  peer_states_.SetBook(book_);
}

void SharedMemory::ForgetOthers() {
  if (book_ != nullptr) book_->KeepOnlyOwn();
  limits_.KeepOnlyOwn();
  std::vector<int32_t> pids;
  for (const shm::WorkerCounters& worker : figures_->counters.slots)
    pids.push_back(static_cast<int32_t>(worker.pid.load(std::memory_order_relaxed)));
  stores_.ForEach([&pids](shm::StoreMemory& memory) {  // what waited in the others is lost
    shm::StoreFigures& figures = memory.state()->figures;
    figures.dropped.fetch_add(figures.workers.KeepOnly(pids), std::memory_order_relaxed);
  });
}

Status SharedMemory::AttachKept(const conf::Http& http, Inheritance* inherited, const Log& log,
                                View* view) {
  if (auto status =
          limits_.Attach(http, first_slot_, inherited, log, &view->limit_req, &view->limit_conn);
      !status) {
    return status;
  }
  for (const conf::SessionZone& zone : http.session_zones) {
    auto& state = view->stores.emplace_back(nullptr);
    if (zone.store < 0) continue;
    auto memory = stores_.Find({zone.name, shm::StoreMemory::kBytes, ""}, inherited, log);
    if (!memory) return memory.error();
    state = (*memory)->state();
  }
  for (const conf::TlsSessionZone& zone : http.tls_session_zones) {
    auto table = tls_sessions_.Find({zone.name, zone.size, ""}, inherited, log);
    if (!table) return table.error();
    view->tls_sessions.push_back(*table);
  }
  return {};
}

Result<SharedMemory::Quotas> SharedMemory::FindQuotas(const conf::Http& http,
                                                      Inheritance* inherited, const Log& log) {
  Quotas quotas;
  for (const conf::SessionZone& zone : http.session_zones) {
    quotas.push_back(nullptr);
    if (!zone.bounded()) continue;
    const size_t bytes = shm::SessionQuota::BytesFor(shm::SessionTable::CapacityFor(zone.size));
    auto quota = quotas_.Find({zone.name, bytes, ""}, inherited, log);
    if (!quota) return quota.error();
    (*quota)->UseKey(zone.quota_key);
    quotas.back() = *quota;
  }
  return quotas;
}

void SharedMemory::SetServers(const conf::Config& config, const View& view) {
  if (!config.http) return;
  const conf::Http& http = *config.http;
  for (size_t i = 0; i < http.session_zones.size(); ++i) {
    const auto store = sessions_.find(http.session_zones[i].name);
    if (store == sessions_.end() || store->second == nullptr) continue;
    const ZoneServers servers = ServersOf(http, view, i);
    store->second->SetServers(servers.ids, servers.complete);
  }
}

void SharedMemory::FollowNames(const conf::Config& config, View& view, uint64_t now_ms) {
  constexpr uint64_t kPeriodMs = 5000;
  if (view.names_deadline && now_ms < *view.names_deadline) return;
  const uint64_t version = config.http ? NamesVersion(*config.http, view) : 0;
  if (version == 0) return view.names_deadline.reset();
  view.names_deadline = now_ms + kPeriodMs;
  if (version == view.names_version) return;
  if (shm::IfFree([&] { SetServers(config, view); })) view.names_version = version;
}

void SharedMemory::DropUnused(const conf::Config& config) {
  attaching_ = false;
  limits_.DropUnused(config.http.get());
  stores_.DropUnless(config.http ? &config.http->session_zones : nullptr);
  quotas_.DropUnless(config.http ? &config.http->session_zones : nullptr);
  tls_sessions_.DropUnless(config.http ? &config.http->tls_session_zones : nullptr);
  std::set<std::string> used;
  if (config.http) {
    for (const conf::SessionZone& zone : config.http->session_zones) used.insert(zone.name);
  }
  std::erase_if(sessions_, [&](const auto& entry) {
    if (used.contains(entry.first)) return false;
    if (entry.second) entry.second->Remove();
    return true;
  });
  new_sessions_.clear();
  moves_served_ = Moves();
}

void SharedMemory::Tick(uint64_t now_ms, const Log& log) {
  for (auto& [name, store] : sessions_) {
    if (store && now_ms >= store->NextDeadline()) store->Tick(now_ms, log, *counters());
  }
}

void SharedMemory::SampleTraffic(uint64_t now_ms) {
  traffic_.Tick(now_ms, counters()->Sum(&shm::WorkerCounters::requests));
}

std::optional<uint64_t> SharedMemory::NextDeadline() const {
  return NextOf(&SessionStore::NextDeadline);
}

void SharedMemory::TickNews(uint64_t now_ms) {
  for (auto& [name, store] : sessions_) {
    if (store) store->TickNews(now_ms);
  }
}

std::optional<uint64_t> SharedMemory::NextNews() const { return NextOf(&SessionStore::NextNews); }

std::optional<uint64_t> SharedMemory::NextOf(uint64_t (SessionStore::*deadline)() const) const {
  std::optional<uint64_t> next;
  for (const auto& [name, store] : sessions_) {
    if (store) next = std::min(next.value_or(UINT64_MAX), (*store.*deadline)());
  }
  return next;
}

void SharedMemory::BringNews() {
  for (auto& [name, store] : sessions_) {
    if (store) store->BringNews();
  }
}

bool SharedMemory::ForgetWorker(int slot) {
  shm::WorkerCounters& counters = figures_->counters.slots[static_cast<size_t>(slot)];
  const auto pid = static_cast<int32_t>(counters.pid.load(std::memory_order_relaxed));
  for (auto* gauge :
       {&counters.active, &counters.reading, &counters.writing, &counters.waiting, &counters.pid}) {
    gauge->store(0, std::memory_order_relaxed);
  }
  shm::Clear(figures_->pulses.slots[static_cast<size_t>(slot)]);
  traffic_.ForgetWorker(slot);
  status_zones_.ForgetWorker(slot);
  stores_.ForEach([pid](shm::StoreMemory& memory) {
    shm::StoreFigures& figures = memory.state()->figures;
    figures.dropped.fetch_add(figures.workers.Forget(pid), std::memory_order_relaxed);
  });
  const shm::LockPatience patience(kPatience);  // others use them all the time, for microseconds
  const bool peers = peer_states_.ForgetWorker(slot);
  return limits_.ForgetWorker(slot) && peers;
}

bool SharedMemory::Save(const Log& log) {
  bool saved = true;
  for (auto& [name, store] : sessions_) {
    if (store) saved &= store->Save(log);
  }
  return saved;
}

uint64_t SharedMemory::SessionChanges() {
  uint64_t changes = 0;
  for (auto& [name, store] : sessions_) {
    if (store) changes = changes * 31 + store->Changes();
  }
  return changes;
}

void SharedMemory::SaveAndRemove(const Log& log) {
  if (left_) return;
  for (auto& [name, store] : sessions_) {
    if (store) store->SaveAndRemove(log);
  }
}

void SharedMemory::Leave(bool back, const Log& log) {
  left_ = true;
  const shm::LockPatience patience(kPatienceAtEnd);
  (void)shm::IfFree([this] { BringNews(); });  // whoever goes on does not know the earlier tables
  if (!back || !left_sessions_) return;
  for (auto& [name, store] : sessions_) {
    if (!store) continue;
    if (!IsLeft(name)) {
      store->SaveAndRemove(log);
    } else {
      store->SaveAtEnd(log);  // the old one may have been told to end, too, and leave it to us
    }
  }
}

std::vector<LeftSessions> SharedMemory::Leaves() const {
  std::vector<LeftSessions> leaves;
  for (const auto& [name, store] : sessions_) {
    if (store) leaves.push_back({name, store->home(), store->snapshot_path()});
  }
  return leaves;
}

bool SharedMemory::IsLeft(const std::string& zone) const {
  return left_sessions_ &&
         std::ranges::find(*left_sessions_, zone, &LeftSessions::zone) != left_sessions_->end();
}

void SharedMemory::RemoveUnowned(const std::string& pid_path, const Log& log) {
  unowned_ = SessionStore::ObjectsOf(pid_path);
  std::erase_if(unowned_, [this](const std::string& name) {
    return std::ranges::any_of(sessions_, [&name](const auto& entry) {
      return entry.second && entry.second->HasObject(name);
    });
  });
  RemoveLeft(log);
}

// Nothing says when the last user of a file has gone: it is looked at with the workers.
void SharedMemory::RemoveLeft(const Log& log) {
  if (left_sessions_) {
    std::erase_if(*left_sessions_, [this](const LeftSessions& left) {
      return sessions_.contains(left.zone) ||
             SessionStore::RemoveLeft(left.home, left.zone, left.snapshot_path);
    });
  }
  std::erase_if(unowned_, [&log](const std::string& name) {
    if (!shm::SessionZone::RemoveUnused(name)) return false;
    LIMPET_LOG(log, LogLevel::kNotice, "shared memory \"{}\", which nobody used, was removed",
               name);
    return true;
  });
}

void SharedMemory::MoveHome(const std::string& pid_path, const Log& log) {
  for (auto& [name, store] : sessions_) {
    if (store) store->MoveHome(pid_path, log);
  }
}

bool SharedMemory::IsDisplaced() const {
  return std::ranges::any_of(
      sessions_, [](const auto& entry) { return entry.second && !entry.second->IsInPlace(); });
}

void SharedMemory::Reclaim(const conf::Config& config, View& view, const Log& log) {
  if (!config.http) return;
  const conf::Http& http = *config.http;
  const auto quotas = FindQuotas(http, nullptr, log);
  if (!quotas) LIMPET_LOG(log, LogLevel::kError, "{}", quotas.error().message);
  constexpr auto kWhy = SessionStore::Why::kOtherHasGone;
  const Status moved =
      MoveSessions(config, quotas ? *quotas : Quotas(http.session_zones.size()), kWhy, log, &view);
  if (!moved) LIMPET_LOG(log, LogLevel::kError, "{}", moved.error().message);
  SetServers(config, view);
}

}  // namespace limpet::master
