#include "worker/upstream/name_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/upstream/peer_set.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kLeastMs = 1000;  // between two rounds, whatever a TTL says
constexpr uint64_t kMostMs = 5000;   // after a failure: resolver_timeout, but no longer than this

std::string Describe(ResolveError error) {
  return fmt::format("could not be resolved ({}: {})", static_cast<int>(error), Name(error));
}

}  // namespace

std::string ServiceName(const conf::UpstreamServer& server) {
  const bool complete = server.service.find('.') != std::string::npos;
  return complete ? server.service + "." + server.host
                  : fmt::format("_{}._tcp.{}", server.service, server.host);
}

// One `server … resolve`. A round asks for its addresses, or for its records and then for the
// addresses of each target, and ends with all answers or when resolver_timeout is over.
class NameWatch::Name {
 public:
  Name(NameWatch& watch, Loop& loop, const conf::UpstreamServer& server, uint32_t source)
      : watch_(watch),
        server_(server),
        source_(source),
        main_(Callback::To<&Name::OnMainAnswer>(this)),
        timer_(loop, Callback::To<&Name::OnTimer>(this)) {}

  void Begin() {
    asking_ = true;
    timer_.Arm(watch_.conf_.resolver->timeout);
    targets_.clear();
    const bool now = server_.service.empty()
                         ? main_.Start(watch_.resolver_, server_.host)
                         : main_.StartService(watch_.resolver_, ServiceName(server_));
    if (now) OnMainAnswer();
  }

  void Stop() {
    main_.Cancel();
    targets_.clear();
    timer_.Disarm();
  }

 private:
  // The lookup of one target of a service, for the records that name it.
  struct Target {
    Target(Name& owner, std::string of)
        : name(std::move(of)), lookup(Callback::To<&Name::OnTargetAnswer>(&owner)) {}
    std::string name;
    Lookup lookup;
    ResolveError error() const {
      return lookup.waiting() ? ResolveError::kTimeout : lookup.answer().error;
    }
  };

  void OnTimer() {
    if (!asking_) return Begin();
    if (main_.waiting()) {
      main_.Cancel();
      return FailRound(ResolveError::kTimeout);
    }
    UseTargets();
  }

  void OnMainAnswer() {
    const ResolveAnswer& answer = main_.answer();
    if (answer.error == ResolveError::kNotFound) {
      LogFailure(answer.error);
      return Use({}, answer.until_ms);
    }
    if (answer.error != ResolveError::kNone) return FailRound(answer.error);
    if (!server_.service.empty()) return AskTargets(answer.services);
    std::vector<shm::ResolvedPeer> peers;
    for (SocketAddress address : answer.addresses) {
      address.set_port(server_.port);
      peers.push_back({.address = address});
    }
    Use(peers, answer.until_ms);
  }

  void AskTargets(const std::vector<ServiceRecord>& records) {
    for (const ServiceRecord& record : records) {
      const bool known = std::ranges::any_of(
          targets_, [&](const auto& target) { return target->name == record.target; });
      if (!known) targets_.push_back(std::make_unique<Target>(*this, record.target));
    }
    for (const auto& target : targets_) target->lookup.Start(watch_.resolver_, target->name);
    OnTargetAnswer();
  }

  void OnTargetAnswer() {
    const bool all =
        std::ranges::none_of(targets_, [](const auto& target) { return target->lookup.waiting(); });
    if (all) UseTargets();
  }

  // The records of the first priority that has addresses are primaries, all others backups; a
  // server that is a backup itself goes without the others. Each is a peer, as in nginx, also where
  // two say the same.
  void UseTargets() {
    const ResolveAnswer& answer = main_.answer();
    const auto known = Known();
    std::vector<std::vector<SocketAddress>> addresses;  // of each record
    uint16_t first = UINT16_MAX;
    for (const ServiceRecord& record : answer.services) {
      addresses.push_back(AddressesOf(TargetOf(record), record, known));
      if (!addresses.back().empty()) first = std::min(first, record.priority);
    }
    std::vector<shm::ResolvedPeer> peers;
    uint64_t until_ms = answer.until_ms;
    for (const auto& target : targets_) {
      const ResolveError error = target->error();
      if (error != ResolveError::kNone) LogFailure(*target, error);
      until_ms = std::min(until_ms, error == ResolveError::kNone ? target->lookup.answer().until_ms
                                                                 : AfterFailure());
    }
    for (size_t i = 0; i < answer.services.size(); ++i) {
      const ServiceRecord& record = answer.services[i];
      if (server_.backup && record.priority != first) continue;
      for (const SocketAddress& address : addresses[i]) {
        peers.push_back({.address = address,
                         .target = record.target,
                         .weight = std::max<uint32_t>(record.weight, 1),
                         .backup = record.priority != first});
      }
    }
    Use(peers, until_ms);
  }

  std::vector<shm::ResolvedPeers::Entry> Known() const {
    const shm::PeerStates::Guard guard(watch_.states_);
    return watch_.states_.resolved()->Peers(source_);
  }

  const Target& TargetOf(const ServiceRecord& record) const {
    return **std::ranges::find_if(
        targets_, [&](const auto& target) { return target->name == record.target; });
  }

  // With the record's port. Where a server has failed, those that are known.
  static std::vector<SocketAddress> AddressesOf(
      const Target& target, const ServiceRecord& record,
      const std::vector<shm::ResolvedPeers::Entry>& known) {
    std::vector<SocketAddress> addresses;
    const ResolveError error = target.error();
    if (error == ResolveError::kNone) {
      addresses = target.lookup.answer().addresses;
    } else if (error != ResolveError::kNotFound) {
      for (const auto& [peer, state] : known) {
        if (peer.target != record.target) continue;
        SocketAddress address = peer.address;
        address.set_port(record.port);
        if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
      }
    }
    for (SocketAddress& address : addresses) address.set_port(record.port);
    return addresses;
  }

  void Use(const std::vector<shm::ResolvedPeer>& peers, uint64_t until_ms) {
    size_t without_place = 0;
    {
      const shm::PeerStates::Guard guard(watch_.states_);
      without_place = watch_.states_.resolved()->Replace(source_, peers);
    }
    if (without_place > 0) {
      LIMPET_LOG(watch_.log_, LogLevel::kError,
                 "cannot add {} new servers to upstream \"{}\", memory exhausted", without_place,
                 watch_.conf_.name);
    }
    Rest(until_ms);
  }

  void FailRound(ResolveError error) {
    LogFailure(error);
    Rest(AfterFailure());
  }

  uint64_t AfterFailure() const {
    return watch_.loop_.NowMs() + std::min(Ms(watch_.conf_.resolver->timeout), kMostMs);
  }

  void Rest(uint64_t until_ms) {
    asking_ = false;
    targets_.clear();
    const uint64_t now = watch_.loop_.NowMs();
    timer_.Arm(std::max(until_ms, now + kLeastMs) - now);
  }

  void LogFailure(ResolveError error) const {
    const std::string of = server_.service.empty()
                               ? server_.host
                               : fmt::format("service {} of {}", server_.service, server_.host);
    LIMPET_LOG(watch_.log_, LogLevel::kError, "{} {}", of, Describe(error));
  }

  void LogFailure(const Target& target, ResolveError error) const {
    LIMPET_LOG(watch_.log_, LogLevel::kError, "{} {} while resolving service {} of {}", target.name,
               Describe(error), server_.service, server_.host);
  }

  NameWatch& watch_;
  const conf::UpstreamServer& server_;
  const uint32_t source_;
  Lookup main_;
  std::vector<std::unique_ptr<Target>> targets_;
  bool asking_ = false;  // the timer is the round's deadline; else the time to begin another
  Timer timer_;
};

NameWatch::NameWatch(Loop& loop, const conf::Upstream& conf, shm::PeerStates& states,
                     Resolver& resolver, const Log& log)
    : loop_(loop),
      conf_(conf),
      states_(states),
      resolver_(resolver),
      log_(log),
      lease_(states.resolving_mutex()),
      retry_(loop, Callback::To<&NameWatch::TryToBegin>(this)) {
  for (const conf::UpstreamServer& server : conf.servers) {
    if (!server.is_resolved()) continue;
    names_.push_back(std::make_unique<Name>(*this, loop, server, states.sources()[names_.size()]));
  }
  retry_.Arm(1);
}

NameWatch::~NameWatch() = default;

void NameWatch::TryToBegin() {
  if (!lease_.TryTake()) return retry_.Arm(shm::Lease::kRetryMs);
  for (const auto& name : names_) name->Begin();
}

void NameWatch::Stop() {
  retry_.Disarm();
  for (const auto& name : names_) name->Stop();
  lease_.Release();
}

}  // namespace limpet::worker
