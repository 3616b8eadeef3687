#include "worker/http/exchange.h"

#include <array>
#include <cassert>

#include "proto/escape.h"
#include "proto/http1/request_rules.h"
#include "proto/target.h"
#include "worker/http/error_page.h"
#include "worker/http/features.h"
#include "worker/http/proxy_exchange.h"
#include "worker/http/response_writer.h"
#include "worker/http/server_names.h"
#include "worker/http/steps.h"
#include "worker/http/subrequest.h"
#include "worker/http/variables.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

constexpr int kMaxUriChanges =
    10;  // nginx's: more rewrites or internal redirects are taken for a cycle

struct PhaseRow {
  Phase phase;
  std::string_view name;
  uint8_t follows;  // bits of the phases it may come after
};
constexpr uint8_t Bit(Phase phase) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(phase));
}
constexpr uint8_t kBusy =
    Bit(Phase::kRouting) | Bit(Phase::kDelayed) | Bit(Phase::kReadingBody) | Bit(Phase::kProxying);
constexpr std::array kPhases = {
    PhaseRow{Phase::kIdle, "idle", Bit(Phase::kDone)},
    PhaseRow{Phase::kRouting, "routing", Bit(Phase::kIdle) | kBusy},
    PhaseRow{Phase::kDelayed, "delayed", Bit(Phase::kRouting)},
    PhaseRow{Phase::kReadingBody, "reading body", Bit(Phase::kRouting)},
    PhaseRow{Phase::kProxying, "proxying", Bit(Phase::kRouting)},
    PhaseRow{Phase::kReplying, "replying", kBusy},
    PhaseRow{Phase::kDone, "done", static_cast<uint8_t>(kBusy | Bit(Phase::kReplying))},
};

constexpr bool CanFollow(Phase from, Phase to) {
  return (kPhases[static_cast<size_t>(to)].follows & Bit(from)) != 0;
}

// False: in the TLS handshake a server was asked for by another name than this.
bool WasNegotiated(const ClientStream& stream, std::string_view host) {
  if (stream.client().tls_server == nullptr) return true;
  std::string storage;
  proto::HostAndPort asked;
  return proto::ValidateHost(stream.tls()->server_name(), &storage, &asked) && asked.host == host;
}

}  // namespace

Exchange::Exchange(Runtime& runtime)
    : runtime_(runtime),
      timer_(runtime.loop, Callback::To<&Exchange::OnTimer>(this)),
      body_(*this),
      variables_(runtime.http.variables.size()),
      writer_(std::make_unique<ResponseWriter>(*this)) {}

Exchange::~Exchange() = default;

void Exchange::Enter(Phase next) {
  assert(CanFollow(phase_, next));
  phase_ = next;
  if (LogEnabled(LogLevel::kDebug)) {
    error_log().Write(LogLevel::kDebug, stream_ != nullptr ? client().number : 0,
                      fmt::format("http exchange: {}", kPhases[static_cast<size_t>(next)].name));
  }
}

void Exchange::Start(ClientStream& stream, const proto::RequestHead& head, size_t head_length) {
  stream_ = &stream;
  request_.head_length = head_length;
  if (Prepare(head)) Run(0);
}

void Exchange::StartRefused(ClientStream& stream, const proto::RequestHead& head,
                            const proto::HeadError& error) {
  stream_ = &stream;
  request_.head = &head;
  request_.method = head.method;
  request_.method_name = head.method_name;
  request_.server = client().listen->default_server;
  request_.location = request_.server->root.get();
  request_.started_ms = runtime_.loop.NowMs();
  request_.remote = client().remote;
  stream.CloseAfterResponse();
  Enter(Phase::kRouting);
  const std::string_view part = head.protocol.empty() ? "line" : "headers";
  Log(LogLevel::kInfo, error.detail.empty()
                           ? fmt::format("{} while reading client request {}", error.reason, part)
                           : fmt::format("{}: \"{}\" while reading client request {}", error.reason,
                                         error.detail, part));
  Finish(error.status);
}

void Exchange::BeginHandshake(ClientStream& stream, const conf::Server& server) {
  static const proto::RequestHead kNone;
  stream_ = &stream;
  request_.head = &kNone;
  request_.server = &server;
  request_.location = server.root.get();
  request_.started_ms = runtime_.loop.NowMs();
  request_.remote = client().remote;
  Enter(Phase::kRouting);
}

void Exchange::EndHandshake() {
  request_.location = nullptr;  // nothing to be logged
  Reset();
}

void Exchange::StartSubrequest(ClientStream& stream, const Exchange& parent, std::string_view uri,
                               std::string_view args) {
  stream_ = &stream;
  request_ = parent.request_;
  request_.method = proto::Method::kGet;
  request_.method_name = "GET";
  request_.framing = {};
  request_.uri = uri;
  request_.args = args;
  request_.uri_is_original = false;
  request_.under_location = true;
  request_.uri_under_alias = false;
  request_.internal = request_.is_subrequest = true;
  request_.started_ms = runtime_.loop.NowMs();
  request_.location = request_.server->root.get();
  variables_ = parent.variables_;
  captures_ = parent.captures_;
  Enter(Phase::kRouting);
  Run(FirstStep());
}

void Exchange::set_subrequest(std::unique_ptr<Subrequest> subrequest) {
  subrequest_ = std::move(subrequest);
}

// Everything that does not depend on the location. False if the request has been answered.
bool Exchange::Prepare(const proto::RequestHead& head) {
  const conf::ListenGroup& listen = *client().listen;
  request_.head = &head;
  request_.method = head.method;
  request_.method_name = head.method_name;
  request_.unparsed_uri = head.target;
  request_.started_ms = runtime_.loop.NowMs();
  request_.remote = client().remote;
  request_.server = client().tls_server != nullptr ? client().tls_server : listen.default_server;
  request_.location = request_.server->root.get();
  request_.uri_changes = kMaxUriChanges + 1;
  Enter(Phase::kRouting);

  const auto refuse = [this](int status, std::string_view why) {
    Log(LogLevel::kInfo, why);
    stream_->CloseAfterResponse();
    Finish(status);
    return false;
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
      !proto::ValidateHost(host_field->value, &host_storage_, &host)) {
    return refuse(400, "client sent invalid host header while reading client request headers");
  }
  if (host_field != nullptr && host_field->value.empty() && !absolute)
    return refuse(400, "client sent invalid host header while reading client request headers");
  if (absolute && !proto::ValidateHost(target.authority, &host_storage_, &host)) {
    return refuse(400,
                  "client sent invalid host in request line while reading client request line");
  }
  request_.host = host.host;
  request_.host_port = host.port;
  if (listen.servers.size() > 1 || !listen.default_server->names.empty()) {
    if (!ChooseServer())
      return refuse(
          421,
          "client attempted to request the server name different from the one that was negotiated");
  }

  if (const proto::HeadError error = proto::CheckRequest(head); error.status != 0)
    return refuse(error.status,
                  fmt::format("{} while reading client request headers", error.reason));
  request_.framing = proto::RequestFraming(head);
  if (!request_.framing.ok()) return refuse(request_.framing.status, request_.framing.reason);
  if (client().plain_on_tls) return refuse(497, "client sent plain HTTP request to HTTPS port");
  if (const Refusal refusal = CheckClientCertificate(*this); refusal.status != 0)
    return refuse(refusal.status, refusal.why);
  return true;
}

// False: the TLS handshake was with another server than this one, which verifies its clients.
bool Exchange::ChooseServer() {
  const conf::ListenGroup& listen = *client().listen;
  const auto index = static_cast<size_t>(&listen - runtime_.http.listens.data());
  const ServerNames::Match match = runtime_.names[index]->Find(request_.host, &captures_);
  if (match.server->tls.verify_client != conf::TlsSettings::VerifyClient::kOff &&
      !WasNegotiated(*stream_, request_.host)) {
    return false;
  }
  request_.server = match.server;
  request_.location = request_.server->root.get();
  if (match.regex == nullptr) return true;
  for (size_t i = 0; i < match.regex->named.size(); ++i) {
    const std::string_view text = captures_.Group(match.regex->regex->named_groups()[i].group);
    SetNamed(match.regex->named[i], {text, !text.empty()});
  }
  return true;
}

void Exchange::Run(size_t step) {
  const auto steps = Steps();
  while (step < steps.size()) {
    next_step_ = step + 1;
    switch (steps[step].run(*this)) {
      case Step::kNext:
        ++step;
        break;
      case Step::kLocate:
        if (--request_.uri_changes <= 0) {
          Log(LogLevel::kError,
              fmt::format("rewrite or internal redirection cycle while processing \"{}\"",
                          request_.uri));
          return Finish(500);
        }
        step = LocateStep();
        break;
      case Step::kContent:
        step = ContentStep();
        break;
      case Step::kSuspend:
      case Step::kDone:
        return;
    }
  }
}

void Exchange::Resume() {
  if (phase_ == Phase::kDelayed) Enter(Phase::kRouting);
  Run(next_step_);
}

void Exchange::Delay(std::chrono::milliseconds time) {
  Enter(Phase::kDelayed);
  timer_.Arm(time);
}

void Exchange::OnTimer() {
  if (phase_ == Phase::kDelayed) Resume();
}

void Exchange::StartProxy() {
  if (proxy_ == nullptr) proxy_ = std::make_unique<ProxyExchange>(*this);
  Enter(Phase::kProxying);
  proxy_->Start(location());
}

void Exchange::OnOutputDrained() {
  if (phase_ == Phase::kProxying) proxy_->OnClientDrained();
}

void Exchange::OnClientGone() {
  if (phase_ == Phase::kProxying && !proxy_->OnClientGone()) return;
  if (phase_ != Phase::kProxying && phase_ != Phase::kDelayed) return;
  Log(LogLevel::kInfo, "client prematurely closed connection");
  Abandon(499);
}

void Exchange::OnBodyError(int status) {
  if (writer_->head_sent()) return Abandon(status);
  stream_->CloseAfterResponse();
  if (proxy_ != nullptr) proxy_->Stop();
  if (status == 408) return Abandon(408);  // nobody to tell: nginx closes silently
  Finish(status);
}

void Exchange::InternalRedirect(std::string_view uri, std::string_view args) {
  if (--request_.uri_changes <= 0) {
    Log(LogLevel::kError,
        fmt::format("rewrite or internal redirection cycle while internally redirecting to \"{}\"",
                    uri));
    uri_cycle_ = true;
    return Finish(500);
  }
  request_.uri = uri;
  request_.args = args;
  request_.uri_is_original = false;
  request_.under_location = true;
  request_.uri_under_alias = false;
  request_.internal = true;
  request_.location = request_.server->root.get();
  Restart(FirstStep());
}

void Exchange::GoToNamed(std::string_view name) {
  const auto& named = request_.server->root->children.named;
  const auto it = named.find(name);
  if (--request_.uri_changes <= 0) {
    Log(LogLevel::kError,
        fmt::format("rewrite or internal redirection cycle while redirect to named location \"{}\"",
                    name));
    uri_cycle_ = true;
    return Finish(500);
  }
  if (request_.uri.empty() || it == named.end()) {
    Log(LogLevel::kError, fmt::format("could not find named location \"{}\"", name));
    uri_cycle_ = true;
    return Finish(500);
  }
  request_.internal = true;
  request_.location = it->second;
  Restart(AfterLocateStep());
}

void Exchange::Restart(size_t step) {
  if (proxy_ != nullptr) proxy_->Stop();
  trace_.NewGroup();
  if (phase_ != Phase::kRouting) Enter(Phase::kRouting);
  Run(step);
}

void Exchange::Finish(int status) {
  if (proxy_ != nullptr) proxy_->Stop();
  if (writer_->head_sent()) return Abandon(status);
  if (status == 444) return Abandon(444);  // nginx's: close without a word
  if (status == 499) return Abandon(499);
  if (!uri_cycle_ && TakeErrorPage(*this, status)) return;
  ReplyWithErrorPage(*this, status);
}

bool Exchange::MarkErrorPage(int status) {
  if (error_page_active_ && !location().response.recursive_error_pages) return false;
  error_page_active_ = true;
  error_status_ = status;
  return true;
}

void Exchange::Reply(int status, std::string_view content_type, std::string_view body) {
  if (body_.mode() == RequestBody::Mode::kIdle) {
    body_.Start(RequestBody::Mode::kDiscarded, nullptr);
    if (!stream_->DropBufferedBody() && status != 400) return Finish(400);
  }
  response_.status = status;
  response_.content_type = content_type;
  response_.content_length = static_cast<int64_t>(body.size());
  if (phase_ != Phase::kReplying) Enter(Phase::kReplying);
  if (!writer_->SendHead()) return;
  writer_->WriteBody({}, body);
  writer_->EndBody();
  Complete();
}

void Exchange::Redirect(int status, std::string_view location_value) {
  response_.location = arena_.Copy(location_value);
  Finish(status);
}

void Exchange::Complete() {
  Enter(Phase::kDone);
  timer_.Disarm();
  stream_->FinishResponse();
}

void Exchange::Abandon(int status) {
  if (phase_ == Phase::kDone) return;
  subrequest_.reset();  // its answer must not wake us any more
  if (proxy_ != nullptr) proxy_->Stop();
  if (response_.status == 0 || !writer_->head_sent()) response_.status = status;
  timer_.Disarm();
  Enter(Phase::kDone);
  stream_->Abort(false);
}

void Exchange::AbandonAfterFlush() {
  if (phase_ == Phase::kDone) return;
  timer_.Disarm();
  Enter(Phase::kDone);
  stream_->CloseAfterResponse();
  stream_->FinishResponse();
}

void Exchange::Reset() {
  if (phase_ == Phase::kIdle) return;
  if (proxy_ != nullptr) proxy_->Stop();
  subrequest_.reset();
  if (stream_ != nullptr && request_.location != nullptr &&
      (!request_.is_subrequest || location().log.log_subrequest))
    WriteAccessLog(*this);
  for (auto it = at_end_.rbegin(); it != at_end_.rend(); ++it) (*it)();
  at_end_.clear();
  if (proxy_ != nullptr) proxy_->Reset();
  timer_.Disarm();
  request_ = Request{};
  response_.Reset();
  body_.Reset();
  variables_.Reset();
  captures_ = {};
  trace_.Reset();
  writer_->Reset();
  arena_.Reset();
  error_status_ = 0;
  error_page_active_ = uri_cycle_ = false;
  limit_rate_ = 0;
  limit_rate_set_ = false;
  limit_req_status = limit_conn_status = {};
  stream_ = nullptr;
  phase_ = Phase::kIdle;
}

const limpet::Log& Exchange::error_log() const {
  const int index = request_.location != nullptr ? request_.location->log.error_log : 0;
  return runtime_.logs[static_cast<size_t>(index)];
}

void Exchange::Log(LogLevel level, std::string_view message) const {
  if (!LogEnabled(level)) return;
  std::string line(message);
  line += fmt::format(", client: {}, server: {}", request_.remote.HostString(),
                      request_.server != nullptr ? request_.server->name : std::string());
  if (request_.head != nullptr && !request_.head->request_line.empty()) {
    line += fmt::format(", request: \"{}\"", request_.head->request_line);
    if (proxy_ != nullptr && proxy_->peer() != nullptr) {
      line += fmt::format(", upstream: \"{}://{}{}\"", proxy_->is_https() ? "https" : "http",
                          proxy_->peer()->name, proxy_->request_uri());
    }
    if (const proto::Header* host = request_.headers().Find(proto::HeaderId::kHost)) {
      line += fmt::format(", host: \"{}\"", host->value);
    }
    if (const proto::Header* referer = request_.headers().Find(proto::HeaderId::kReferer)) {
      line += fmt::format(", referrer: \"{}\"", referer->value);
    }
  }
  error_log().Write(level, client().number, line);
}

conf::Value Exchange::Get(conf::VariableId id) {
  if (variables_.Has(id)) return variables_.Get(id);
  const conf::Variable& variable = runtime_.http.variables[id];
  conf::Value value;
  switch (variable.kind) {
    case conf::VariableKind::kBuiltin:
      value = GetBuiltin(*this, variable.builtin);
      break;
    case conf::VariableKind::kUser:
      return conf::Value::Of("");  // mentioned, not set yet
    case conf::VariableKind::kDerived:
      value = variable.derived->Evaluate(*this);
      break;
    default:
      value = GetPrefixed(*this, variable);
      break;
  }
  if (IsCacheable(variable)) variables_.Set(id, value);
  return value;
}

void Exchange::SetNamed(conf::VariableId id, conf::Value value) { variables_.Set(id, value); }

void Exchange::SetVariable(conf::VariableId id, std::string_view value) {
  const conf::Variable& variable = runtime_.http.variables[id];
  if (variable.kind == conf::VariableKind::kBuiltin) {
    SetBuiltin(*this, variable.builtin, value);
    return;
  }
  variables_.Set(id, conf::Value::Of(value));
}

}  // namespace limpet::worker
