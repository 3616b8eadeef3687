#include "worker/http/proxy/explain.h"

#include <fmt/format.h>

#include <deque>
#include <set>

#include "base/clock.h"
#include "base/text.h"
#include "worker/geo/geo_readers.h"
#include "worker/http/proxy/peer_choice.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/status/explanation.h"
#include "worker/status/peer_facts.h"
#include "worker/status/store_facts.h"

namespace limpet::worker {
namespace {

// The request that is imagined: its variables have the values that the question gives them.
class ImaginedRequest final : public conf::VariableReader {
 public:
  ImaginedRequest(Runtime& runtime, std::string_view args)
      : runtime_(runtime), http_(runtime.http), args_(args) {}

  conf::Value Get(conf::VariableId id) override {
    const conf::Variable& variable = http_.variables[id];
    if (auto given = Given(variable.name)) return Keep(*std::move(given));
    if (variable.kind == conf::VariableKind::kDerived) {
      const conf::Value value = Derive(variable);
      if (!value.text.empty()) return value;
    }
    if (variable.kind == conf::VariableKind::kBuiltin) return conf::Value::None();
    const bool cookie = variable.kind == conf::VariableKind::kCookie;
    if (auto given = Given(cookie ? "cookie" : "route")) return Keep(*std::move(given));
    if (auto given = Given(cookie ? "route" : "cookie")) return Keep(*std::move(given));
    return conf::Value::None();
  }
  // geoip2: of the address in `client=`.
  conf::Value LookUp(conf::Lookup where, size_t index) override {
    if (where != conf::Lookup::kGeo || runtime_.geo == nullptr) return conf::Value::None();
    const auto given = Given("client");
    const auto client = SocketAddress::ParseIp(given.value_or(""), 0);
    return runtime_.geo->Find(index, *this, client ? &*client : nullptr);
  }
  conf::Captures& captures() override { return captures_; }
  void SetNamed(conf::VariableId, conf::Value) override {}
  char* Allocate(size_t size) override { return memory_.emplace_back(size, '\0').data(); }
  const std::string& failure() const { return failure_; }

  // What the question says of the request, by its name; it counts as looked at.
  std::optional<std::string> Given(std::string_view name) {
    auto given = Argument(args_, name);
    if (given) looked_at_.emplace(name);
    return given;
  }
  // The names of what nobody has looked at: `"a", "b"`.
  std::string Unread() const {
    std::string names;
    for (const std::string_view pair : Split(args_, '&')) {
      const std::string_view name = pair.substr(0, pair.find('='));
      if (name.empty() || name == "upstream" || looked_at_.contains(name)) continue;
      names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", name);
    }
    return names;
  }

 private:
  void OnMatchFailed(const std::string& why) override { failure_ = why; }
  conf::Value Keep(std::string text) {
    return conf::Value::Of(memory_.emplace_back(std::move(text)));
  }

  Runtime& runtime_;
  const conf::Http& http_;
  std::string_view args_;
  std::set<std::string, std::less<>> looked_at_;
  std::deque<std::string> memory_;
  conf::Captures captures_;
  std::string failure_;
};

std::string_view StickyName(const conf::Upstream& upstream) {
  switch (upstream.sticky.kind) {
    case conf::StickyKind::kNone:
      return "";
    case conf::StickyKind::kCookie:
      return "sticky cookie";
    case conf::StickyKind::kRoute:
      return "sticky route";
    case conf::StickyKind::kLearn:
      return "sticky learn";
  }
  return "";
}

std::string_view ConditionText(PeerCondition condition) {
  switch (condition) {
    case PeerCondition::kReady:
      return "it can take the request";
    case PeerCondition::kFull:
      return "it is at max_conns";
    case PeerCondition::kDown:
      return "it is down, unhealthy or over max_fails";
    case PeerCondition::kDrained:
      return "it has been drained";
  }
  return "";
}

class Explainer {
 public:
  Explainer(Runtime& runtime, UpstreamRuntime& upstream, std::string_view args)
      : runtime_(runtime),
        upstream_(upstream),
        conf_(upstream.group.conf()),
        method_(conf::RowOf(conf_.method)),
        request_(runtime, args),
        now_ms_(MonotonicMs()) {
    selection_.dry = sticky_.dry = true;
  }

  StatusReply Run() {
    out_.upstream = UpstreamName(conf_);
    out_.method = conf::MethodText(conf_);
    out_.sticky = StickyName(conf_);
    ReadKey();
    if (!ReadClient()) return ApiError(400, "\"client\" is no address");
    upstream_.group.Begin(selection_, key_, has_client_ ? &client_ : nullptr);
    if (upstream_.sticky != nullptr) {
      ExplainSession();
      if (sticky_.bound == nullptr && sticky_.has_key) ExplainStore();
      if (sticky_.bound == nullptr) ExplainQuota();
    }
    if (request_.match_failed()) return ExplainFailure();
    const bool was_bound = sticky_.bound != nullptr;
    const StickyStatus found = sticky_.status;
    const PeerChoice choice = ChoosePeer(upstream_, selection_, sticky_, now_ms_);
    if (!missing_.empty() && IsOfMethod(choice)) return ApiError(400, missing_);
    ExplainChoice(choice, was_bound, found);
    if (const std::string unread = request_.Unread(); !unread.empty())
      Say("question", fmt::format("nothing here looks at {}", unread));
    AddServers();
    return ExplanationPage(out_);
  }

 private:
  void Say(std::string_view rule, std::string text) {
    out_.steps.push_back({std::string(rule), std::move(text)});
  }

  void ReadKey() {
    if (!upstream_.group.needs_key()) return;
    const auto given = request_.Given("key");
    key_ = given ? *given : std::string(conf_.hash_key.Evaluate(request_));
    if (key_.empty() && !request_.match_failed())
      missing_ = "the upstream hashes a key: \"key=\" is missing";
  }

  bool ReadClient() {
    const auto given = request_.Given("client");
    if (!given) {
      if (method_.basis == conf::BalanceBasis::kClient)
        missing_ = "the upstream hashes the client's address: \"client=\" is missing";
      return true;
    }
    const auto address = SocketAddress::ParseIp(*given, 0);
    has_client_ = static_cast<bool>(address);
    if (has_client_) client_ = *address;
    return has_client_;
  }

  // A session that has its server, or one that stands in, asks nothing of the balancing method.
  bool IsOfMethod(const PeerChoice& choice) const {
    if (choice.kind != PeerChoice::Kind::kPeer || sticky_.temporary) return false;
    const bool is_home =
        sticky_.bound != nullptr && choice.peer->server_id == sticky_.bound->server_id;
    return !is_home && choice.peer != sticky_.moved_from;
  }

  // Such a request is answered before a server is chosen.
  StatusReply ExplainFailure() {
    out_.decision = "refuse";
    out_.code = 500;
    Say("variables", request_.failure());
    AddServers();
    return ExplanationPage(out_);
  }

  void ExplainSession() {
    upstream_.sticky->Find(request_, sticky_);
    const std::string_view rule = StickyName(conf_);
    const bool learns = conf_.sticky.kind == conf::StickyKind::kLearn;
    if (!sticky_.reason.empty()) return Say(rule, std::string(sticky_.reason));
    switch (sticky_.status) {
      case StickyStatus::kExpired:
        return Say(rule, fmt::format("the session \"{}\" is over: idle for {} s", sticky_.id,
                                     sticky_.idle_ms / 1000));
      case StickyStatus::kNew:
        return Say(rule, "the request brings no session");
      default:
        break;
    }
    if (sticky_.bound == nullptr) {
      return Say(rule, learns ? fmt::format("nobody knows the session \"{}\"", sticky_.id)
                              : fmt::format("\"{}\" names no server of the upstream", sticky_.id));
    }
    const Peer& bound = *sticky_.bound;
    Say(rule, learns ? fmt::format("the session \"{}\" is bound to {}, idle for {} s", sticky_.id,
                                   bound.name, sticky_.idle_ms / 1000)
                     : fmt::format("\"{}\" names {}{}", sticky_.id, bound.name,
                                   sticky_.renews ? ", and is due to be renewed" : ""));
    const auto condition = upstream_.group.Condition(selection_, bound, true, now_ms_);
    Say("server " + bound.name,
        fmt::format("{} ({})", ConditionText(condition), PeerStateName(bound, now_ms_)));
  }

  void ExplainQuota() {
    std::string note = upstream_.sticky->QuotaNote(request_);
    if (!note.empty()) Say("quota", std::move(note));
  }

  // A request asks other machines for a session that its zone does not know; a rehearsal does not.
  void ExplainStore() {
    const auto& zones = runtime_.http.session_zones;
    for (const StoreUse& use : StoreUses(runtime_.http, runtime_.stores)) {
      if (use.zone - zones.data() != conf_.sticky.learn.zone) continue;
      const auto lost = LostForMs(*use.state);
      return Say("session_store " + use.store->name,
                 lost
                     ? fmt::format("it has been lost for {} s: no request asks it", *lost / 1000)
                     : fmt::format("it is there: a request would ask it and wait {} ms at most; if "
                                   "it knows the session, the session's server is used",
                                   use.store->wait.count()));
    }
  }

  void ExplainChoice(const PeerChoice& choice, bool was_bound, StickyStatus found) {
    out_.sticky_status = Name(sticky_.status);
    switch (choice.kind) {
      case PeerChoice::Kind::kPeer:
        out_.decision = "server";
        out_.server = choice.peer->name;
        out_.id = choice.peer->server_id;
        return ExplainPeer(*choice.peer, was_bound);
      case PeerChoice::Kind::kWait:
        out_.decision = "wait";
        return Say("queue", was_bound && found != sticky_.status
                                ? "the session's server is full: the request waits for it"
                                : "all servers are full: the request waits for a place");
      case PeerChoice::Kind::kRefuse:
        out_.decision = "refuse";
        out_.code = choice.code;
        if (choice.by_policy) {
          return Say(conf_.sticky.strict ? "sticky_strict" : "sticky_policy",
                     fmt::format("no other server may have the session: {}", choice.code));
        }
        return Say(out_.method, fmt::format("no server can take the request: {}", choice.code));
    }
  }

  void ExplainPeer(const Peer& peer, bool was_bound) {
    if (was_bound && sticky_.bound == &peer)
      return Say(StickyName(conf_), "the session's own server is used");
    if (sticky_.moved_from == &peer)
      return Say("sticky_policy failback", "the session returns to the server it came from");
    if (was_bound && sticky_.bound->server_id == peer.server_id)
      return Say("server " + peer.name, fmt::format("the {} with the session's server id stands in",
                                                    peer.backup ? "backup" : "other server"));
    if (was_bound && sticky_.temporary) {
      return Say("sticky_policy",
                 fmt::format("{} stands in; the session stays where it is", peer.name));
    }
    if (was_bound) Say("sticky_policy", "another server takes the session over");
    Say(out_.method, fmt::format("{}{} is chosen: {}", peer.backup ? "no primary can: backup " : "",
                                 peer.name, method_.reason));
  }

  bool Takes(const Peer& peer, bool bound_session) const {
    return ConditionNow(upstream_.group, peer, bound_session, now_ms_) == PeerCondition::kReady;
  }

  void AddServers() {
    for (const Peer& peer : upstream_.group.peers()) {
      out_.servers.push_back({.server = peer.name,
                              .id = peer.server_id,
                              .state = std::string(PeerStateName(peer, now_ms_)),
                              .takes_new = Takes(peer, false),
                              .takes_sessions = Takes(peer, true)});
    }
  }

  const Runtime& runtime_;
  UpstreamRuntime& upstream_;
  const conf::Upstream& conf_;
  const conf::BalanceRow& method_;
  ImaginedRequest request_;
  const uint64_t now_ms_;
  PeerSelection selection_;
  StickyState sticky_;
  std::string key_;
  std::string missing_;  // what the balancing method looks at and nobody has told
  SocketAddress client_;
  bool has_client_ = false;
  Explanation out_;
};

}  // namespace

StatusReply Explain(Runtime& runtime, std::string_view args) {
  const auto name = Argument(args, "upstream");
  if (!name) return ApiError(400, "\"upstream=\" is missing");
  for (const auto& upstream : runtime.upstreams) {
    if (UpstreamName(upstream->group.conf()) == *name)
      return Explainer(runtime, *upstream, args).Run();
  }
  return ApiError(404, "no such upstream");
}

}  // namespace limpet::worker
