#include "worker/http/exchange/exchange.h"

#include <array>
#include <cassert>
#include <utility>

#include "base/bits.h"
#include "base/hash.h"
#include "base/prefetch.h"
#include "base/text.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/exchange/steps.h"
#include "worker/http/exchange/subrequest.h"
#include "worker/http/exchange/variables.h"
#include "worker/http/proxy/proxy_exchange.h"

namespace limpet::worker {
namespace {

struct PhaseRow {
  Phase phase;
  std::string_view name;
  uint8_t follows;  // bits of the phases it may come after
  bool ends_wait;   // leaving it ends what it waited for
};
constexpr uint8_t kBusy = BitsOf(Phase::kRouting, Phase::kDelayed, Phase::kProxying);
constexpr uint8_t kAny = 0xFF;
constexpr std::array kPhases = {
    PhaseRow{Phase::kIdle, "idle", kAny, false},
    PhaseRow{Phase::kRouting, "routing", BitsOf(Phase::kIdle) | kBusy, false},
    PhaseRow{Phase::kDelayed, "delayed", BitsOf(Phase::kRouting), true},
    PhaseRow{Phase::kProxying, "proxying", BitsOf(Phase::kRouting), false},
    PhaseRow{Phase::kReplying, "replying", kBusy, false},
    PhaseRow{Phase::kDone, "done", static_cast<uint8_t>(kBusy | BitsOf(Phase::kReplying)), false},
};

constexpr bool CanFollow(Phase from, Phase to) {
  return (kPhases[static_cast<size_t>(to)].follows & BitsOf(from)) != 0;
}

}  // namespace

Exchange::Exchange(Runtime& runtime)
    : runtime_(runtime),
      arena_(&runtime.blocks.small()),
      body_(*this),
      variables_(runtime.http.variables.size()),
      writer_(std::make_unique<ResponseWriter>(*this)) {}

Exchange::~Exchange() = default;

const Exchange::Seldom Exchange::kNoSeldom;

void Exchange::Enter(Phase next) {
  assert(CanFollow(phase_, next));
  if (kPhases[static_cast<size_t>(phase_)].ends_wait && waits_ != nullptr) {
    waits_->timer.Disarm();
    waits_->pass.Cancel();
  }
  phase_ = next;
  if (runtime_.logs_debug) {
    error_log().Write(LogLevel::kDebug, stream_ != nullptr ? client().number : 0,
                      fmt::format("http exchange: {}", kPhases[static_cast<size_t>(next)].name));
  }
}

std::string_view Exchange::request_id() {
  if (parent_ != nullptr) return parent_->request_id();
  if (request_id_.empty()) {
    char random[16];
    RandomBytes(random, sizeof random);
    request_id_ = arena_.Copy(HexLower(random, sizeof random));
  }
  return request_id_;
}

void Exchange::set_subrequest(std::unique_ptr<Subrequest> subrequest) {
  subrequest_ = std::move(subrequest);
}

void Exchange::Run(size_t step) {
  const auto steps = Steps();
  while (!AnswersFailedMatch()) {
    step = runtime_.steps.Next(location(), step);
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
      case Step::kAgain:
        next_step_ = step;
        return;
      case Step::kSuspend:
      case Step::kDone:
        return;
    }
  }
}

void Exchange::Resume() {
  if (phase_ != Phase::kDelayed) return;  // it has been answered meanwhile
  Enter(Phase::kRouting);
  Run(next_step_);
}

void Exchange::Delay(std::chrono::milliseconds time) {
  Enter(Phase::kDelayed);
  NeedWaits().timer.Arm(time);
}

// This pass's deferred calls come first, then events, then what those defer.
void Exchange::AwaitEvents() {
  constexpr int kPasses = 3;
  Enter(Phase::kDelayed);
  Waits& waits = NeedWaits();
  waits.passes_left = kPasses;
  waits.pass.Schedule();
}

void Exchange::OnPass() {
  if (--waits_->passes_left > 0) return waits_->pass.Schedule();
  Resume();
}

Exchange::Waits& Exchange::NeedWaits() {
  if (waits_ == nullptr) waits_ = std::make_unique<Waits>(this);
  return *waits_;
}

bool Exchange::RefusesBody() {
  request_.body_judged = true;
  const uint64_t limit = location().client.max_body_size;
  if (limit == 0 || request_.framing.kind != proto::BodyKind::kLength ||
      request_.framing.length <= limit || body_.mode() != RequestBody::Mode::kIdle)
    return false;
  Log(LogLevel::kError,
      fmt::format("client intended to send too large body: {} bytes", request_.framing.length));
  error_status_ == 0 ? body_.Refuse() : body_.Fail();
  stream_->DropBufferedBody();
  if (error_status_ != 0) return false;  // of an earlier error, whose page goes on without the body
  Finish(413);
  return true;
}

void Exchange::FetchProxy() const { Prefetch(proxy_.get()); }

void Exchange::StartProxy() {
  if (proxy_ == nullptr) proxy_ = std::make_unique<ProxyExchange>(*this);
  Enter(Phase::kProxying);
  proxy_->Start(location());
}

void Exchange::OnOutputDrained() {
  if (writer_->BodyHoldsBack()) return Refill();
  if (phase_ == Phase::kProxying) proxy_->OnClientDrained();
}

void Exchange::Flush() {
  stream_->Flush();
  if (writer_->BodyHoldsBack() && !stream_->blocked()) NeedWaits().refill.Schedule();
}

void Exchange::Refill() {
  if (phase_ == Phase::kIdle || phase_ == Phase::kDone) return;
  writer_->PumpBody();
  if (writer_->BodyHoldsBack()) {
    Flush();
    if (phase_ == Phase::kProxying) proxy_->OnClientBehind();
    return;
  }
  switch (std::exchange(ending_, Ending::kNone)) {
    case Ending::kComplete:
      return Complete();
    case Ending::kBroken:
      return AbandonAfterFlush();
    case Ending::kNone:
      stream_->Flush();
      if (phase_ == Phase::kProxying) proxy_->OnClientDrained();
  }
}

void Exchange::EndLater(Ending ending) {
  ending_ = ending;
  if (phase_ != Phase::kReplying) Enter(Phase::kReplying);
  Flush();
}

void Exchange::OnClientGone() {
  if (phase_ == Phase::kProxying && !proxy_->OnClientGone()) return;
  const bool waits = phase_ == Phase::kProxying || phase_ == Phase::kDelayed;
  if (!waits && ending_ == Ending::kNone) return;
  if (writer_->ended()) {  // it has its part of an answer, of which the rest is of no use
    if (proxy_ != nullptr) proxy_->Stop();
    return Complete();
  }
  Log(LogLevel::kInfo, "client prematurely closed connection");
  Abandon(499);
}

void Exchange::OnBodyError(int status) {
  if (writer_->head_sent()) return Abandon(status);
  stream_->LastForClient();
  if (proxy_ != nullptr) proxy_->Stop();
  status == 413 ? body_.Refuse() : body_.Fail();
  Finish(status);
}

bool Exchange::IsUnsafe(std::string_view uri, std::string_view written) const {
  if (!Climbs(uri, written)) return false;
  Log(LogLevel::kError, fmt::format("unsafe URI \"{}\" was detected", uri));
  return true;
}

void Exchange::InternalRedirect(std::string_view uri, std::string_view args,
                                std::string_view written) {
  if (--request_.uri_changes <= 0) {
    Log(LogLevel::kError,
        fmt::format("rewrite or internal redirection cycle while internally redirecting to \"{}\"",
                    uri));
    uri_cycle_ = true;
    return Finish(500);
  }
  if (IsUnsafe(uri, written)) return Finish(404);
  request_.uri = uri;
  request_.args = args;
  request_.uri_is_original = false;
  request_.under_location = true;
  request_.uri_under_alias = false;
  request_.internal = true;
  UseLocation(*this, *request_.server->root);
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
  request_.proxy_lost = false;
  UseLocation(*this, *it->second);
  // It is chosen for another location's sake, whose limit counts; but maybe there was none.
  if (!request_.body_judged && RefusesBody()) return;
  Restart(AfterLocateStep());
}

void Exchange::Restart(size_t step) {
  if (proxy_ != nullptr) proxy_->Stop();
  LetGo();
  trace_.NewGroup();
  if (phase_ != Phase::kRouting) Enter(Phase::kRouting);
  Run(step);
}

void Exchange::Finish(int status) {
  if (proxy_ != nullptr) proxy_->Stop();
  if (writer_->head_sent()) return Abandon(status);
  if (status == 444) return Abandon(444);                      // nginx's: close without a word
  if (status == 499 || status == 408) return Abandon(status);  // nobody listens
  if (!uri_cycle_ && TakeErrorPage(*this, status)) return;
  ReplyWithErrorPage(*this, status);
}

void Exchange::FinishWithOwnPage(int status) {
  if (proxy_ != nullptr) proxy_->Stop();
  ReplyWithErrorPage(*this, status);
}

void Exchange::AnswerFailedMatch() {
  const int status = failure_status();
  TakeMatchFailure();
  if (status == 401)  // a token is missing or wrong (RFC 6750 3)
    response_.headers.Add(proto::HeaderId::kWwwAuthenticate, "WWW-Authenticate", "Bearer");
  Finish(status);
}

// Once for an exchange: an error page or a log line may evaluate it again.
void Exchange::OnMatchFailed(const std::string& why) {
  if (!match_failure_told_) Log(LogLevel::kAlert, why);
  match_failure_told_ = true;
}

void Exchange::OnCycle(std::string_view name) {
  Log(LogLevel::kError, fmt::format("cycle while evaluating variable \"{}\"", name));
}

bool Exchange::MarkErrorPage(int status) {
  if (error_page_active_) return false;
  error_page_active_ = !location().response.recursive_error_pages;
  error_status_ = status;
  return true;
}

void Exchange::Reply(int status, std::string_view content_type, std::string_view body) {
  if (body_.mode() == RequestBody::Mode::kIdle) {
    body_.Start(RequestBody::Mode::kDiscarded, nullptr);
    if (!stream_->DropBufferedBody() && status != 400) {
      body_.Fail();
      return Finish(400);
    }
  }
  response_.status = status;
  response_.content_type = content_type;
  response_.content_length = static_cast<int64_t>(body.size());
  if (!writer_->SendHead()) return;
  if (phase_ != Phase::kReplying) Enter(Phase::kReplying);
  writer_->WriteBody({}, body);
  writer_->EndBody();
  Complete();
}

void Exchange::Redirect(int status, std::string_view location_value) {
  response_.location = location_value.empty() ? std::string_view("") : arena_.Copy(location_value);
  Finish(status);
}

// All that could call back into routing, or start another answer.
void Exchange::LetGo() {
  if (waits_ != nullptr) {
    waits_->timer.Disarm();
    waits_->refill.Cancel();
    waits_->pass.Cancel();
  }
  subrequest_.reset();  // its answer must not wake us any more
  body_.LetGo();
}

void Exchange::Complete() {
  if (writer_->BodyHoldsBack()) return EndLater(Ending::kComplete);
  Enter(Phase::kDone);
  LetGo();
  completed_ = true;
  holds_ == 0 ? stream_->FinishResponse() : stream_->Flush();
}

void Exchange::Release() {
  if (--holds_ == 0 && completed_) stream_->FinishResponse();
}

void Exchange::Abandon(int status) {
  if (phase_ == Phase::kDone) {
    if (completed_ && holds_ > 0) stream_->Abort(false);  // what holds it ends with it
    return;
  }
  if (proxy_ != nullptr) proxy_->Stop();
  LetGo();
  if (response_.status == 0 || !writer_->head_sent()) response_.status = status;
  Enter(Phase::kDone);
  stream_->Abort(status == 444 && location().client.reset_timedout_connection);
}

void Exchange::AbandonAfterFlush() {
  if (phase_ == Phase::kDone) return;
  if (writer_->BodyHoldsBack()) return EndLater(Ending::kBroken);
  LetGo();
  Enter(Phase::kDone);
  stream_->BreakResponse();
}

void Exchange::Reset() {
  if (phase_ == Phase::kIdle) return;
  if (proxy_ != nullptr) proxy_->Stop();
  LetGo();
  if (stream_ != nullptr && request_.location != nullptr) {
    if (!request_.is_subrequest || location().log.log_subrequest) WriteAccessLog(*this);
    CountInZones(*this);
  }
  for (auto it = at_end_.rbegin(); it != at_end_.rend(); ++it) (*it)();
  at_end_.clear();
  if (proxy_ != nullptr) proxy_->Reset();
  request_ = Request{};
  response_.Reset();
  body_.Reset();
  variables_.Reset();
  if (captures_ != nullptr) *captures_ = {};
  trace_.Reset();
  writer_->Reset();
  arena_.Reset();
  request_id_ = {};
  error_status_ = 0;
  error_page_active_ = uri_cycle_ = completed_ = match_failure_told_ = false;
  TakeMatchFailure();
  holds_ = 0;
  ending_ = Ending::kNone;
  limit_rate_ = 0;
  limit_rate_set_ = false;
  seldom_ = nullptr;
  Enter(Phase::kIdle);
  stream_ = nullptr;
  parent_ = nullptr;
  assert(quiet());
}

bool Exchange::quiet() const {
  return phase_ == Phase::kIdle && (waits_ == nullptr || waits_->quiet()) &&
         subrequest_ == nullptr && body_.quiet() && at_end_.empty() &&
         (proxy_ == nullptr || proxy_->quiet());
}

const limpet::Log& Exchange::error_log() const {
  const int index = request_.location != nullptr ? request_.location->log.error_log : 0;
  return runtime_.logs[static_cast<size_t>(index)];
}

void Exchange::Log(LogLevel level, std::string_view message) const {
  if (!LogEnabled(level)) return;
  std::string line(message);
  line += fmt::format(", client: {}, server: {}", request_.remote_host,
                      request_.server != nullptr ? request_.server->name : std::string());
  if (request_.head != nullptr && !request_.head->request_line.empty()) {
    line += fmt::format(", request: \"{}\"", request_.head->request_line);
    if (request_.is_subrequest) line += fmt::format(", subrequest: \"{}\"", request_.uri);
    if (const std::string url = proxy_ != nullptr ? proxy_->LoggedUrl() : std::string();
        !url.empty()) {
      line += fmt::format(", upstream: \"{}\"", url);
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
    case conf::VariableKind::kUser:  // mentioned, not set yet
      if (!variable.of_script) return conf::Value::None();
      value = conf::Value::Of("");
      if (!location().warn_uninitialized) return value;
      Log(LogLevel::kWarn, fmt::format("using uninitialized \"{}\" variable", variable.name));
      variables_.Set(id, value);  // told once
      return value;
    case conf::VariableKind::kDerived:
      value = Derive(variable);
      break;
    default:
      value = GetPrefixed(*this, variable);
      break;
  }
  if (IsCacheable(variable) && !match_failed()) variables_.Set(id, value);
  return value;
}

conf::Value Exchange::LookUp(conf::Lookup where, size_t index) {
  return worker::LookUp(*this, where, index);
}

void Exchange::SetNamed(conf::VariableId id, conf::Value value) { variables_.Set(id, value); }

void Exchange::SetVariable(conf::VariableId id, std::string_view value) {
  const conf::Variable& variable = runtime_.http.variables[id];
  const bool is_builtin = variable.kind == conf::VariableKind::kBuiltin;
  if (is_builtin && SetBuiltin(*this, variable.builtin, value)) return;
  variables_.Set(id, conf::Value::Of(value));
}

}  // namespace limpet::worker
