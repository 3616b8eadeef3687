#include "worker/status/api.h"

#include "worker/status/json_input.h"
#include "worker/status/state_changes.h"

namespace limpet::worker {
namespace {

enum class Resource : uint8_t { kNone, kReadOnly, kPeer, kZone, kSession, kRebalance };

struct Target {
  Resource resource = Resource::kNone;
  PeerPath peer;
  ZoneRef zone;
  std::string key;
};

// "NAME/rebalance", unless an upstream is called so.
std::optional<std::string_view> UpstreamToRebalance(const StatusSource& source,
                                                    std::string_view path) {
  constexpr std::string_view kRebalance = "/rebalance";
  if (!path.ends_with(kRebalance) || FindUpstream(source, path) != nullptr) return std::nullopt;
  return path.substr(0, path.size() - kRebalance.size());
}

Target ZoneTarget(const StatusSource& source, std::string_view rest, std::string_view args) {
  const size_t slash = rest.find('/');
  Target target;
  target.zone = FindZone(source, rest.substr(0, slash));
  if (!target.zone) return target;
  const auto key = Argument(args, "key");
  const bool single = slash != rest.npos || key;
  target.resource = single ? Resource::kSession : Resource::kZone;
  if (single) target.key = key ? *key : rest.substr(slash + 1);
  return target;
}

Target Find(const StatusSource& source, std::string_view path, std::string_view args) {
  if (path.ends_with('/')) path.remove_suffix(1);
  constexpr std::string_view kSessions = "sessions/", kUpstreams = "upstreams/";
  if (path.starts_with(kSessions)) return ZoneTarget(source, path.substr(kSessions.size()), args);
  Target target;
  target.resource = Resource::kReadOnly;
  if (path.starts_with(kUpstreams)) {
    target.peer = SplitPeerPath(path.substr(kUpstreams.size()));
    if (!target.peer.peer.empty()) {
      target.resource = Resource::kPeer;
    } else if (const auto upstream = UpstreamToRebalance(source, target.peer.upstream)) {
      target.resource = Resource::kRebalance;
      target.peer.upstream = *upstream;
    }
  }
  return target;
}

std::string_view MethodsOf(Resource resource) {
  switch (resource) {
    case Resource::kPeer:
      return "GET, HEAD, PATCH";
    case Resource::kRebalance:
      return "POST";
    case Resource::kZone:
      return "GET, HEAD, PATCH, POST, DELETE";
    case Resource::kSession:
      return "GET, HEAD, POST, DELETE";
    default:
      return "GET, HEAD";
  }
}

StatusReply NotAllowed(Resource resource) {
  StatusReply reply = ApiError(405, "the method is not known here");
  reply.allow = MethodsOf(resource);
  return reply;
}

StatusReply Delete(const StatusSource& source, const Target& target, std::string_view args,
                   std::optional<SessionSweep>* sweep) {
  if (target.resource == Resource::kSession) return ForgetSession(source, target.zone, target.key);
  if (target.resource != Resource::kZone) return NotAllowed(target.resource);
  const auto server = Argument(args, "server");
  if (!server || server->empty())
    return ApiError(400, "which sessions: a key in the path, or \"server=\" in the query");
  return ForgetServer(source, target.zone, *server, sweep);
}

// A body may be left out.
StatusReply Rebalance(const StatusSource& source, const Target& target, std::string_view body,
                      std::optional<RebalanceCall>* moves) {
  const Result<Json> parsed = ParseJson(body.empty() ? "{}" : body);
  if (!parsed) return ApiError(400, parsed.error().message);
  if (!parsed->is_object()) return ApiError(400, "the body must be a JSON object");
  return BeginRebalance(source, target.peer.upstream, *parsed, moves);
}

StatusReply Change(const StatusSource& source, const ApiRequest& request,
                   std::optional<SessionSweep>* sweep, std::optional<RebalanceCall>* moves) {
  const Target target = Find(source, request.path, request.args);
  if (target.resource == Resource::kNone) return NotFound("no such session zone");
  if (request.method == "DELETE") return Delete(source, target, request.args, sweep);
  const bool patch = request.method == "PATCH";
  if (target.resource == Resource::kRebalance && !patch)
    return Rebalance(source, target, request.body, moves);
  const bool patches = target.resource == Resource::kPeer || target.resource == Resource::kZone;
  const bool posts = target.resource == Resource::kZone || target.resource == Resource::kSession;
  if (patch ? !patches : !posts) return NotAllowed(target.resource);

  const Result<Json> parsed = ParseJson(request.body);
  if (!parsed) return ApiError(400, parsed.error().message);
  const Json& body = *parsed;
  if (!body.is_object()) return ApiError(400, "the body must be a JSON object");
  if (target.resource == Resource::kPeer) return PatchPeer(source, target.peer, body);
  if (target.resource == Resource::kSession)
    return MoveSession(source, target.zone, target.key, body);
  return patch ? PatchZone(source, target.zone, body)
               : MoveSessions(source, target.zone, body, sweep);
}

}  // namespace

bool ChangesState(std::string_view method) { return method != "GET" && method != "HEAD"; }

ApiCall::ApiCall(const StatusSource& source, const ApiRequest& request) {
  if (!ChangesState(request.method)) {
    reply_ = ApiPage(source, request.path, request.args);
  } else if (request.method != "PATCH" && request.method != "POST" && request.method != "DELETE") {
    reply_ = NotAllowed(Find(source, request.path, request.args).resource);
  } else if (!request.may_write) {
    reply_ = ApiError(403, "nothing can be changed here: \"api\" lacks \"write=on\"");
  } else if (request.body.size() > kMaxBody) {
    reply_ = ApiError(413, "the body is too long");
  } else {
    reply_ = Change(source, request, &sweep_, &moves_);
  }
}

void ApiCall::Step() {
  if (moves_) {
    if (moves_->Step(kStepTime)) return;
    reply_ = moves_->Reply();
    moves_.reset();
    return;
  }
  if (!sweep_ || sweep_->Step(kStepTime)) return;
  reply_ = Good({{sweep_->forgets() ? "forgotten" : "moved", sweep_->changed()}});
  sweep_.reset();
}

}  // namespace limpet::worker
