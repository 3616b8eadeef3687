#include "worker/health/probe.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "worker/health/match.h"
#include "worker/health/probe_request.h"
#include "worker/net/plain_transport.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kConnecting = "connecting to upstream";
constexpr std::string_view kSending = "sending request to upstream";
constexpr std::string_view kReadingHead = "reading response header from upstream";
constexpr std::string_view kReadingBody = "reading upstream";

std::string TlsName(const conf::ProxySettings& proxy) {
  std::string name = proxy.pass.host_header;
  if (proxy.ssl_name && proxy.ssl_name->is_constant()) name = proxy.ssl_name->constant();
  const size_t bracket = name.starts_with('[') ? name.find(']') : 0;
  return name.substr(0, name.find(':', bracket == std::string::npos ? 0 : bracket));
}

}  // namespace

ProbePlan ProbePlan::For(const conf::Location& location, const conf::Http& http,
                         const TlsClientContexts* contexts, const Log& log) {
  const conf::HealthCheck& check = *location.health_check;
  ProbePlan plan{.location = location, .tls_name = {}, .request = {}};
  if (check.match >= 0) plan.match = &http.matches[static_cast<size_t>(check.match)];
  if (location.proxy.pass.https && contexts != nullptr) plan.tls = contexts->For(location);
  plan.tls_name = TlsName(location.proxy);
  if (!check.tcp) plan.request = ProbeRequest(location, http.variables, log, &plan.failure);
  return plan;
}

Probe::Probe(Loop& loop, const ProbePlan& plan, Callback done)
    : loop_(loop),
      plan_(plan),
      done_(done),
      deadline_(loop, Callback::To<&Probe::OnTimer>(this)),
      tell_(loop, Callback::To<&Probe::Tell>(this)) {}

Probe::~Probe() { Transport::Discard(std::move(transport_)); }

void Probe::Start(const SocketAddress& address) {
  running_ = true;
  result_ = {};
  sent_ = head_filled_ = head_start_ = 0;
  has_head_ = false;
  body_.clear();
  parser_.Reset();
  doing_ = kConnecting;
  const conf::ProxySettings& proxy = plan_.location.proxy;
  const ConnectOptions options;
  const auto await = [&](auto connecting) {
    if (connecting.transport == nullptr)
      return Finish(ProbeResult{doing_, ErrnoText(connecting.errnum), connecting.ours});
    transport_ = std::move(connecting.transport);
    if (connecting.errnum == 0) return OnConnected();
    deadline_.Arm(proxy.connect_timeout);
  };
  if (!proxy.pass.https) return await(PlainTransport::Connect(loop_, address, options, this));
  if (plan_.tls == nullptr) return Finish("SSL handshaking to upstream");
  await(TlsTransport::Connect(loop_, address, options,
                              {.context = plan_.tls,
                               .name = plan_.tls_name,
                               .send_name = proxy.ssl_server_name,
                               .scope = {}},
                              this));
}

void Probe::OnReady(int errnum) {
  if (errnum == 0) return OnConnected();
  if (!transport_->is_tls() || errnum != EPROTO) return Finish(doing_, ErrnoText(errnum));
  const auto& tls = static_cast<const TlsTransport&>(*transport_);
  std::string why = tls.SetupError(errnum);  // it ends in "while SSL handshaking to upstream"
  why.resize(std::min(why.size(), why.rfind(" while ")));
  Finish("SSL handshaking to upstream", " (" + why + ")");
}

void Probe::OnConnected() {
  if (!plan_.failure.empty()) return Finish(kSending, plan_.failure);
  if (plan_.request.empty()) return Finish(ProbeResult{});
  doing_ = kSending;
  head_ = std::make_unique<char[]>(kMaxHead);
  deadline_.Arm(plan_.location.proxy.read_timeout);
  transport_->WantRead(true);
  OnWritable();
}

void Probe::OnWritable() {
  while (sent_ < plan_.request.size()) {
    iovec piece{const_cast<char*>(plan_.request.data()) + sent_, plan_.request.size() - sent_};
    size_t n = 0;
    const Io io = transport_->Writev(&piece, 1, false, &n);
    if (io == Io::kWouldBlock) return transport_->WantWrite(true);
    if (io != Io::kOk) return Finish(doing_, transport_->ErrorText());
    sent_ += n;
  }
  doing_ = kReadingHead;
}

// One read at a time: a server that never stops sending holds up neither others nor the deadline.
void Probe::OnReadable() { has_head_ ? ReadBody() : ReadHead(); }

void Probe::ReadHead() {
  size_t n = 0;
  switch (transport_->Read(head_.get() + head_filled_, kMaxHead - head_filled_, &n)) {
    case Io::kWouldBlock:
      return;
    case Io::kEof:
      return Finish(doing_, " (closed too early)");
    case Io::kError:
      return Finish(doing_, transport_->ErrorText());
    case Io::kOk:
      head_filled_ += n;
      ParseHead();
  }
}

void Probe::ReadBody() {
  char bytes[16 * 1024];
  size_t n = 0;
  switch (transport_->Read(bytes, sizeof bytes, &n)) {
    case Io::kWouldBlock:
      return;
    case Io::kEof:
      return OnEof();
    case Io::kError:
      return Finish(doing_, transport_->ErrorText());
    case Io::kOk:
      OnBody({bytes, n});
  }
}

void Probe::ParseHead() {
  for (;;) {
    switch (parser_.Parse(head_.get() + head_start_, head_filled_ - head_start_, kMaxHead)) {
      case proto::HeadStatus::kIncomplete:
        if (head_filled_ == kMaxHead) Finish(doing_, " (too big header)");
        return;
      case proto::HeadStatus::kError:
        return Finish(doing_, " (invalid header)");
      case proto::HeadStatus::kComplete:
        break;
    }
    head_start_ += parser_.consumed();
    if (!parser_.head().is_interim()) break;
    parser_.Reset();
    if (head_start_ == head_filled_) return;
  }
  has_head_ = true;
  ProbeResult result = JudgeHead(plan_.match, parser_.head());
  if (!result.good() || plan_.match == nullptr || plan_.match->body == nullptr)
    return Finish(std::move(result));
  framing_ = proto::ResponseFraming(proto::Method::kGet, parser_.head());
  if (!framing_.ok()) return Finish(doing_, " (invalid framing)");
  doing_ = kReadingBody;
  decoder_.Reset();
  if (framing_.kind == proto::BodyKind::kNone) return JudgeWhole();
  OnBody({head_.get() + head_start_, head_filled_ - head_start_});
}

void Probe::OnBody(std::string_view bytes) {
  bool whole = false;
  if (framing_.kind == proto::BodyKind::kChunked) {
    const auto status = decoder_.Feed(bytes);
    for (const std::string_view piece : decoder_.pieces()) body_ += piece;
    if (status == proto::ChunkedDecoder::Status::kError) return Finish(doing_, " (invalid chunk)");
    whole = status == proto::ChunkedDecoder::Status::kDone;
  } else {
    body_ += bytes;
    whole = framing_.kind == proto::BodyKind::kLength && body_.size() >= framing_.length;
  }
  if (whole || body_.size() >= kMaxBody) JudgeWhole();
}

void Probe::OnEof() {
  if (framing_.kind == proto::BodyKind::kUntilClose) return JudgeWhole();
  Finish(doing_, " (closed too early)");
}

void Probe::JudgeWhole() {
  const size_t size = framing_.kind == proto::BodyKind::kLength
                          ? std::min<size_t>(body_.size(), framing_.length)
                          : body_.size();
  Finish(JudgeBody(*plan_.match, std::string_view(body_).substr(0, std::min(size, kMaxBody))));
}

void Probe::OnTimer() { Finish(doing_, ErrnoText(ETIMEDOUT)); }

void Probe::Finish(std::string_view failed_in, std::string detail) {
  Finish(ProbeResult{failed_in, std::move(detail)});
}

void Probe::Finish(ProbeResult result) {
  running_ = false;
  result_ = std::move(result);
  deadline_.Disarm();
  Transport::Discard(std::move(transport_));
  head_.reset();
  body_ = {};
  tell_.Schedule();
}

void Probe::Tell() { done_(); }

}  // namespace limpet::worker
