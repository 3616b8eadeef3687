// The response half of a proxied exchange, up to its head: what it means, and whether it is the one
// to use.
#include <algorithm>
#include <utility>

#include "base/prefetch.h"
#include "base/text.h"
#include "proto/escape.h"
#include "proto/target.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/filter/limit_rate.h"
#include "worker/http/proxy/early_hints.h"
#include "worker/http/proxy/head_faults.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/proxy_headers.h"
#include "worker/http/proxy/proxy_rewrite.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/error_page.h"

namespace limpet::worker {

// The client's side is fetched while the system reads, and while the head is parsed.
void ProxyExchange::ReadHead() {
  Prefetch(&exchange_.stream());
  AnswerSize& answers = upstream_->answers;
  const std::span<char> room = response_.RoomForHead(exchange_.runtime().blocks,
                                                     location_->proxy.buffer_size, answers.block());
  const size_t n = ReadInto(room.first(MostWithHead(room.size())));
  if (n == 0) return response_.ReleaseUnlessHead();
  exchange_.stream().Fetch();
  response_.Took(n);
  answers.Note(response_.received(), n == room.size());
  ParseHead();
}

// The rate is not known before the head: what comes with it is as much as a head may be.
size_t ProxyExchange::MostWithHead(size_t room) const {
  const conf::ProxySettings& proxy = location_->proxy;
  const bool is_limited = proxy.buffering && !proxy.limit_rate.empty();
  return is_limited ? std::min(room, proxy.buffer_size) : room;
}

// proxy_read_timeout is that of the whole head: a piece of it moves no deadline.
void ProxyExchange::ParseHead() {
  using Parsed = UpstreamResponse::Parsed;
  for (;;) {
    switch (response_.ParseHead(location_->proxy.buffer_size)) {
      case Parsed::kMore:
        return;
      case Parsed::kInterim:  // 100, 102, 103: the final one follows (RFC 9110 15.2)
        PassEarlyHints(exchange_, response_.head());
        break;
      case Parsed::kComplete:
        return OnHead();
      case Parsed::kTooBig:
        return Fail(kBadResponse,
                    "upstream sent too big header while reading response header from upstream", 0);
      case Parsed::kError:
        return Fail(kBadResponse, TellHeadFault(response_.error(), response_.head()), 0);
    }
  }
}

void ProxyExchange::OnHead() {
  const proto::ResponseHead& head = response_.head();
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.status = head.status;
  attempt.header_ms = ElapsedMs();

  const proto::Framing framing = proto::ResponseFraming(target_.method, head);
  response_.HoldHead(framing);
  if (!framing.ok()) {
    return Fail(kBadResponse,
                fmt::format("{} while reading response header from upstream",
                            TellFramingFault(framing.reason, head.headers)),
                0);
  }
  if (framing.kind == proto::BodyKind::kTunnel && !AsksToUpgrade(exchange_)) RefuseTunnel();
  if (TryOtherPeerForStatus()) return;
  upstream_->group.Answered(selection_, exchange_.runtime().loop.NowMs(), attempt.header_ms);
  response_.Use();
  HeedAccelHeaders();
  if (Intercept()) return;
  session_.OnResponseHead(*attempt_.peer());
  if (FollowsAccelRedirect() || AwaitsConfirmation()) return;
  StartBody();
}

// A tunnel nobody asked for would leave client and peer at odds about what follows: as in nginx the
// head is all that the client gets, and both connections end.
void ProxyExchange::RefuseTunnel() {
  LogUpstream(LogLevel::kError,
              "upstream switched protocols without being asked while reading response header "
              "from upstream",
              0);
  response_.ForgetBody();
  attempt_.Spoil();
  exchange_.stream().LastForClient();
}

bool ProxyExchange::TryOtherPeerForStatus() {
  const int status = response_.head().status;
  const uint32_t condition = ConditionOfStatus(status);
  if (condition == 0) return false;
  AttemptFacts facts = Facts();
  facts.tries_left -= 1;  // this attempt's own has not been taken yet
  if (!MayTryNext(condition, facts, location_->proxy.next_upstream)) return false;
  const bool is_well = condition == conf::kNext403 || condition == conf::kNext404;
  if (is_well) KeepIfEmpty();
  EndAttempt(is_well ? Outcome::kNext : Outcome::kFailed);
  NextPeer();
  return true;
}

// Something else takes the place of the answer: its connection may be kept where no body follows.
void ProxyExchange::KeepIfEmpty() {
  if (response_.kind() != proto::BodyKind::kNone || !response_.body_rest().empty()) return;
  attempt_.KeepIf(request_.all_sent() && response_.allows_next());
}

// What the peer says of how its answer is sent holds for whoever answers in its place, too.
void ProxyExchange::HeedAccelHeaders() {
  using proto::HeaderId;
  const proto::HeaderList& headers = response_.head().headers;
  const uint32_t ignored = location_->proxy.ignore_headers;
  if (const auto* rate = headers.Find(HeaderId::kXAccelLimitRate);
      rate && !(ignored & conf::kIgnoreXAccelLimitRate)) {
    if (const auto value = ParseDecimal(rate->value)) exchange_.set_limit_rate(*value);
  }
  if (const auto* flag = headers.Find(HeaderId::kXAccelBuffering);
      flag && !(ignored & conf::kIgnoreXAccelBuffering)) {
    if (EqualsIgnoreCase(flag->value, "no")) buffering_ = false;
    if (EqualsIgnoreCase(flag->value, "yes")) buffering_ = true;
  }
  if (const auto* charset = headers.Find(HeaderId::kXAccelCharset);
      charset && !(ignored & conf::kIgnoreXAccelCharset)) {
    exchange_.SeldomToSet().accel_charset = exchange_.arena().Copy(charset->value);
  }
}

bool ProxyExchange::FollowsAccelRedirect() {
  const auto* redirect = response_.head().headers.Find(proto::HeaderId::kXAccelRedirect);
  const bool ignored = (location_->proxy.ignore_headers & conf::kIgnoreXAccelRedirect) != 0;
  if (redirect == nullptr || ignored) return false;
  FollowAccelRedirect(redirect->value);
  return true;
}

// X-Accel-Redirect: the answer is made here, from another location; a few fields of the peer's head
// come along.
void ProxyExchange::FollowAccelRedirect(std::string_view value) {
  using proto::HeaderId;
  Arena& arena = exchange_.arena();
  const std::string_view target = arena.Copy(value);
  Response& response = exchange_.response();
  GiveStickyCookie();
  for (const proto::Header& header : response_.head().headers) {
    switch (header.id) {
      case HeaderId::kSetCookie: {
        const auto rewritten = RewriteSetCookieField(exchange_, header.value);
        response.headers.Add(header.id, arena.Copy(header.name),
                             arena.Copy(rewritten.value_or(header.value)));
        break;
      }
      case HeaderId::kContentDisposition:
      case HeaderId::kCacheControl:
      case HeaderId::kExpires:
        response.headers.Add(header.id, arena.Copy(header.name), arena.Copy(header.value));
        break;
      case HeaderId::kContentType:
        response.content_type = arena.Copy(header.value);
        break;
      case HeaderId::kAcceptRanges:
        if (!location_->proxy.force_ranges)
          response.headers.Add(header.id, arena.Copy(header.name), arena.Copy(header.value));
        break;
      default:
        break;
    }
  }
  KeepIfEmpty();
  End(Outcome::kOk);
  Request& request = exchange_.request();
  if (target.starts_with('@')) return exchange_.GoToNamed(target);
  if (request.method != proto::Method::kHead) {
    request.method = proto::Method::kGet;
    request.method_name = "GET";
  }
  const size_t question = target.find('?');
  const std::string path = proto::Unescape(target.substr(0, question));
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos ||
      proto::UpwardSegments(path) > 0) {
    exchange_.Log(LogLevel::kError,
                  fmt::format("unsafe URI \"{}\" was detected while reading response header "
                              "from upstream",
                              target));
    return exchange_.Finish(404);
  }
  exchange_.InternalRedirect(arena.Copy(path),
                             question == std::string_view::npos ? "" : target.substr(question + 1));
}

// proxy_intercept_errors: an error_page takes the place of the peer's own.
bool ProxyExchange::Intercept() {
  const int status = response_.head().status;
  if (!location_->proxy.intercept_errors || status < 300) return false;
  bool has_page = false;
  for (const conf::ErrorPage& page : location_->response.error_pages) {
    for (const int code : page.codes) has_page = has_page || code == status;
  }
  if (!has_page) return false;
  if (status == 401) CopyChallenges(exchange_, response_.head().headers);
  GiveStickyCookie();
  KeepIfEmpty();
  End(Outcome::kOk);
  exchange_.Finish(status);
  return true;
}

// Whoever answers in the end, the peer's own answer or a page of ours in its place: nginx's cookie
// is the client's from the moment the peer was chosen.
void ProxyExchange::GiveStickyCookie() {
  const std::string_view cookie = session_.TakeCookie();
  if (cookie.empty()) return;
  exchange_.response().headers.Add(proto::HeaderId::kSetCookie, "Set-Cookie", cookie);
}

// The answer's session is with the store before the client knows of it (store=… confirm).
bool ProxyExchange::AwaitsConfirmation() {
  if (!session_.confirms()) return false;
  session_.OnHeadLeaves(*attempt_.peer(), buffering_);
  if (!session_.waiting()) return false;
  Enter(ProxyState::kConfirming);
  return true;
}

// The head is composed, and nothing of it has left.
void ProxyExchange::EnterSession() {
  session_.OnHeadLeaves(*attempt_.peer(), buffering_);
  upstream_->group.SessionsHeard(selection_);
  if (first_ != nullptr) first_->Leave();
}

void ProxyExchange::StartBody() {
  Response& response = exchange_.response();
  const proto::ResponseHead& head = response_.head();
  GiveStickyCookie();  // it stands before the peer's own, as in nginx
  FilterUpstreamHead(exchange_, head);
  response.from_upstream = true;
  switch (response_.kind()) {
    case proto::BodyKind::kLength:
      response.content_length = static_cast<int64_t>(response_.length());
      break;
    case proto::BodyKind::kNone:
      KeepDeclaredLength();
      break;
    default:
      response.content_length = -1;
      break;
  }
  if (response_.kind() == proto::BodyKind::kTunnel) return StartTunnel();
  KeepIfEmpty();  // a filter may answer instead
  if (!exchange_.writer().SendHead()) return;
  EnterSession();
  response_.BeginBody();
  if (buffering_) {
    pace_.Begin(EvaluateSize(exchange_, location_->proxy.limit_rate));
  } else {
    exchange_.set_limit_rate(0);  // the client gets it as it comes
  }
  const std::string_view rest = response_.body_rest();
  if (response_.kind() == proto::BodyKind::kNone) {
    if (!rest.empty()) exchange_.response().hides_body ? attempt_.Spoil() : OnExcess();
    return FinishResponse();
  }
  exchange_.upstream_trace().last().response_length = rest.size();
  if (!rest.empty()) OnBodyBytes(rest);
  if (state_ == ProxyState::kTalking && response_.half() == Half::kBody) ReadOn();
}

// The rest of the body is still to come.
void ProxyExchange::ReadOn() {
  if (MaySplice()) pipe_ = exchange_.runtime().pipes.Take();
  if (response_.kind() != proto::BodyKind::kLength) session_.Renew();
  if (IsStream()) WatchDrain(DrainEnd::Kind::kStream);
  PassOn();
  UpdateReading();
}

// A response to HEAD and a 304 may say how long the body would be.
void ProxyExchange::KeepDeclaredLength() {
  Response& response = exchange_.response();
  const proto::Header* declared = response_.head().headers.Find(proto::HeaderId::kContentLength);
  uint64_t length = 0;
  const bool bodiless =
      exchange_.request().method == proto::Method::kHead || response_.head().status == 304;
  response.content_length = bodiless ? -1 : 0;
  if (bodiless && declared != nullptr && proto::ParseContentLength(declared->value, &length)) {
    response.content_length = static_cast<int64_t>(length);
  }
}

}  // namespace limpet::worker
