// How an exchange begins: a request's head, one that is refused, a request of our own, a TLS
// handshake that wants variables.
#include "conf/named_groups.h"
#include "proto/http1/request_rules.h"
#include "proto/target.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/steps.h"
#include "worker/http/route/server_names.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

// nginx's: more rewrites or internal redirects are taken for a cycle.
constexpr int kMaxUriChanges = 10;

// False: in the TLS handshake a server was asked for by another name than this.
bool WasNegotiated(const ClientStream& stream, std::string_view host) {
  if (stream.client().tls_server == nullptr) return true;
  std::string storage;
  proto::HostAndPort asked;
  return proto::ValidateHost(stream.tls()->asked_name(), &storage, &asked) && asked.host == host;
}

// The reason and, if the error names a header that is there twice, both of its lines.
std::string WithRepeatedLine(const proto::HeadError& error, const proto::HeaderList& headers) {
  const proto::Header* first = error.detail.empty() ? nullptr : headers.Find(error.detail);
  for (const proto::Header& header : headers) {
    if (first == nullptr || &header == first || header.id != first->id) continue;
    if (first->id == proto::HeaderId::kAuthorization) break;  // no passwords in the log
    return fmt::format("{}: \"{}: {}\", previous value: \"{}: {}\"", error.reason, header.name,
                       header.value, first->name, first->value);
  }
  return std::string(error.reason);
}

}  // namespace

void Exchange::Start(ClientStream& stream, const proto::RequestHead& head,
                     const proto::Framing& framing, size_t head_length) {
  FetchProxy();  // most requests come to it
  stream_ = &stream;
  request_.framing = framing;
  request_.head_length = head_length;
  request_.number = client().requests;
  if (Prepare(head)) Run(0);
}

void Exchange::StartRefused(ClientStream& stream, const proto::RequestHead& head,
                            const proto::HeadError& error, bool silent) {
  stream_ = &stream;
  request_.head = &head;
  request_.method = head.method;
  request_.method_name = head.method_name;
  request_.number = client().requests;
  request_.server = FirstServer();
  request_.location = request_.server->root.get();
  proto::Target target;  // for the log: the line may have been good
  if (proto::ParseTarget(head.target, head.method, request_.server->head.merge_slashes,
                         &uri_storage_, &target)) {
    request_.unparsed_uri = target.unparsed;
    request_.uri = target.uri;
    request_.args = target.args;
  }
  if (request_.started_ms == 0) request_.started_ms = runtime_.loop.NowMs();
  UseAddressOfClient();
  stream.LastForClient();
  Enter(Phase::kRouting);
  FindServer(target);
  const std::string_view part = head.protocol.empty() ? "line" : "headers";
  Log(LogLevel::kInfo, error.detail.empty()
                           ? fmt::format("{} while reading client request {}", error.reason, part)
                           : fmt::format("{}: \"{}\" while reading client request {}", error.reason,
                                         error.detail, part));
  silent ? Abandon(error.status) : Finish(error.status);
}

void Exchange::UseAddressOfClient() {
  request_.remote = &client().remote;
  request_.remote_host = client().remote_host;
}

const conf::Server* Exchange::FirstServer() const {
  return client().tls_server != nullptr ? client().tls_server : client().listen->default_server;
}

// As far as a head that is refused says whom it is for: he has the say in how.
void Exchange::FindServer(const proto::Target& target) {
  const proto::Header* const field = request_.head->headers.Find(proto::HeaderId::kHost);
  const bool absolute = target.form == proto::TargetForm::kAbsolute;
  if (!absolute && field == nullptr) return;
  proto::HostAndPort host;
  if (!host_.Check(absolute ? target.authority : field->value, &host)) return;
  request_.host = host.host;
  request_.host_port = host.port;
  ChooseServer();
}

void Exchange::BeginHandshake(ClientStream& stream, const conf::Server& server) {
  static const proto::RequestHead kNone;
  stream_ = &stream;
  request_.head = &kNone;
  request_.server = &server;
  request_.location = server.root.get();
  request_.started_ms = runtime_.loop.NowMs();
  UseAddressOfClient();
  Enter(Phase::kRouting);
}

void Exchange::EndHandshake() {
  request_.location = nullptr;  // nothing to be logged
  Reset();
}

void Exchange::StartSubrequest(ClientStream& stream, Exchange& parent, std::string_view uri,
                               std::string_view args, Copied copied) {
  stream_ = &stream;
  parent_ = &parent;
  request_ = parent.request_;
  if (copied == Copied::kNothing) {
    request_.method = proto::Method::kGet;
    request_.method_name = "GET";
  }
  if (copied == Copied::kMethodAndBody) {
    body_.Share(parent.body_);
  } else {
    request_.framing = {};
  }
  request_.uri = uri;
  request_.args = args;
  request_.uri_is_original = false;
  request_.under_location = true;
  request_.uri_under_alias = false;
  request_.internal = request_.is_subrequest = true;
  request_.started_ms = runtime_.loop.NowMs();
  request_.location = request_.server->root.get();
  variables_ = parent.variables_;
  // A request counts once, with all that we ask for its sake.
  if (parent.seldom_ != nullptr) {
    SeldomToSet().limit_req_status = parent.seldom_->limit_req_status;
    SeldomToSet().limit_conn_status = parent.seldom_->limit_conn_status;
  }
  if (parent.captures_ != nullptr) captures() = *parent.captures_;
  Enter(Phase::kRouting);
  Run(FirstStep());
}

// Everything that does not depend on the location. False if the request has been answered.
bool Exchange::Prepare(const proto::RequestHead& head) {
  const conf::ListenGroup& listen = *client().listen;
  request_.head = &head;
  request_.method = head.method;
  request_.method_name = head.method_name;
  request_.unparsed_uri = head.target;
  if (request_.started_ms == 0) request_.started_ms = runtime_.loop.NowMs();
  UseAddressOfClient();
  request_.server = FirstServer();
  request_.location = request_.server->root.get();
  request_.uri_changes = kMaxUriChanges + 1;
  Enter(Phase::kRouting);

  const auto refuse = [this, &head](int status, std::string_view why) {
    if (request_.uri.empty() && !head.target.starts_with('/')) request_.method_name = {};
    Log(LogLevel::kInfo, why);
    stream_->LastForClient();
    Finish(status);
    return false;
  };
  const auto refuse_fields = [&refuse](int status, std::string_view why) {
    return refuse(status, fmt::format("{} while reading client request headers", why));
  };
  proto::Target target;
  if (!proto::ParseTarget(head.target, head.method, request_.server->head.merge_slashes,
                          &uri_storage_, &target)) {
    return refuse(400, "client sent invalid request while reading client request line");
  }
  request_.unparsed_uri = target.unparsed;
  request_.uri = target.uri;
  request_.args = target.args;
  request_.uri_is_original = target.forwardable;

  // The authority of an absolute target wins over Host (RFC 9112 3.2.2).
  const bool absolute = target.form == proto::TargetForm::kAbsolute;
  const proto::Header* host_field = head.headers.Find(proto::HeaderId::kHost);
  proto::HostAndPort host;
  if (host_field != nullptr && !host_field->value.empty() &&
      !host_.Check(host_field->value, &host)) {
    return refuse_fields(400, "client sent invalid host header");
  }
  if (host_field != nullptr && host_field->value.empty() && !absolute)
    return refuse_fields(400, "client sent invalid host header");
  if (absolute && !host_.Check(target.authority, &host)) {
    return refuse(400,
                  "client sent invalid host in request line while reading client request line");
  }
  request_.host = host.host;
  request_.host_port = host.port;
  if (listen.servers.size() > 1 || !listen.default_server->names.empty()) {
    if (!ChooseServer())
      return refuse_fields(
          421,
          "client attempted to request the server name different from the one that was negotiated");
  }

  if (const proto::HeadError error = proto::CheckRequest(head, request_.framing); error.status != 0)
    return refuse_fields(error.status, WithRepeatedLine(error, head.headers));
  if (client().http2 && !listen.SpeaksHttp2(*request_.server))
    return refuse(421, "client speaks HTTP/2 to a server that does not");
  if (client().plain_on_tls)
    return refuse_fields(497, "client sent plain HTTP request to HTTPS port");
  if (const Refusal refusal = CheckClientCertificate(*this); refusal.status != 0)
    return refuse_fields(refusal.status, refusal.why);
  return true;
}

// False: the TLS handshake was with another server than this one, which verifies its clients.
bool Exchange::ChooseServer() {
  const conf::ListenGroup& listen = *client().listen;
  const auto index = static_cast<size_t>(&listen - runtime_.http.listens.data());
  conf::Captures groups;
  const ServerNames::Match match = runtime_.names[index]->Find(request_.host, &groups);
  if (!match.failure.empty()) {
    FailMatch(match.failure);
    return true;
  }
  if (match.server->tls.verify_client != conf::TlsSettings::VerifyClient::kOff &&
      !WasNegotiated(*stream_, request_.host)) {
    return false;
  }
  request_.server = match.server;
  request_.location = request_.server->root.get();
  if (match.regex == nullptr) return true;
  captures() = groups;
  conf::PublishGroups(*this, *match.regex->regex, match.regex->named);
  return true;
}
}  // namespace limpet::worker
