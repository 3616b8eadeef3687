#include "worker/upstream/name_query.h"

#include <ares.h>
#include <arpa/nameser.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "shm/status_zone.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kRetryMs = 500;  // after a server that could not be reached
constexpr int kMaxAliases = 50;     // as nginx: a chain of CNAMEs may be a ring

// Of an answer's code.
ResolveError ErrorOf(int code) {
  switch (code) {
    case ns_r_noerror:
      return ResolveError::kNone;
    case ns_r_formerr:
    case -1:
      return ResolveError::kFormat;
    case ns_r_nxdomain:
      return ResolveError::kNotFound;
    case ns_r_notimpl:
      return ResolveError::kUnimplemented;
    case ns_r_refused:
      return ResolveError::kRefused;
    default:
      return ResolveError::kServer;
  }
}

uint16_t RandomId() {
  uint16_t id = 0;
  RandomBytes(&id, sizeof id);
  return id;
}

}  // namespace

NameQuery::NameQuery(Resolver& resolver, std::string key)
    : resolver_(resolver),
      key_(std::move(key)),
      is_service_(key_.starts_with(kServiceKey)),
      retry_(resolver.loop_, Callback::To<&NameQuery::OnRetry>(this)) {
  target_ = is_service_ ? key_.substr(kServiceKey.size()) : key_;
}

void NameQuery::Ask() {
  a_ = aaaa_ = srv_ = {};
  error_ = ResolveError::kNone;
  if (is_service_) {
    unanswered_ = 1;
    return Send(srv_, ns_t_srv);
  }
  const bool both = resolver_.conf_.ipv4 && resolver_.conf_.ipv6;
  unanswered_ =
      both ? 2 : 1;  // before the first is sent: it may be answered before the call returns
  if (resolver_.conf_.ipv4) Send(a_, ns_t_a);
  if (resolver_.conf_.ipv6) Send(aaaa_, ns_t_aaaa);
}

// By ares_send(): ares_query() refuses names that nginx asks for.
void NameQuery::Send(Question& question, int type) {
  question.query = this;
  question.type = type;
  const auto message = DnsQuestion(target_, type, RandomId());
  if (!message || resolver_.channel_ == nullptr) {
    error_ = std::max(error_, message ? ResolveError::kServer : ResolveError::kNotFound);
    return OneAnswered();
  }
  using Word = shm::ResolverCount;
  resolver_.Count(type == ns_t_a ? Word::kA : type == ns_t_aaaa ? Word::kAaaa : Word::kSrv);
  ares_send(resolver_.channel_, reinterpret_cast<const unsigned char*>(message->data()),
            static_cast<int>(message->size()), &NameQuery::OnReply, &question);
}

void NameQuery::OnReply(void* question_ptr, int status, int, unsigned char* bytes,
                        int size) noexcept {
  if (status == ARES_EDESTRUCTION) return;  // the resolver goes, and we with it
  auto& question = *static_cast<Question*>(question_ptr);
  NameQuery& self = *question.query;
  if (status == ARES_SUCCESS) {
    self.Read(question, {reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  } else if (status == ARES_ECONNREFUSED) {
    self.unreachable_ = true;
  } else {
    self.error_ = std::max(
        self.error_, status == ARES_ETIMEOUT ? ResolveError::kTimeout : ResolveError::kServer);
  }
  self.OneAnswered();
}

void NameQuery::OneAnswered() {
  if (--unanswered_ > 0) return;
  if (!std::exchange(unreachable_, false)) return AllAnswered();
  // Nobody listens there now: whoever waits may see it come back.
  retry_.Arm(kRetryMs);
}

void NameQuery::OnRetry() {
  if (!waiting.empty()) return Ask();
  error_ = ResolveError::kServer;
  resolver_.OnQueryEnd(*this);
}

void NameQuery::Read(Question& question, std::string_view message) {
  const ResolveError error = ErrorOf(DnsCode(message));
  auto answer = error == ResolveError::kNone ? ReadDnsAnswer(message, question.type) : std::nullopt;
  if (!answer) {
    error_ = std::max(error_, error == ResolveError::kNone ? ResolveError::kFormat : error);
    return;
  }
  question.answer = std::move(*answer);
  ttl_ = std::min(ttl_, question.answer.ttl);
}

// A server that knows the addresses sends them along with the CNAME; one that does not leaves us to
// ask for them.
void NameQuery::AllAnswered() {
  const bool found = !a_.answer.addresses.empty() || !aaaa_.answer.addresses.empty() ||
                     !srv_.answer.services.empty();
  const std::string& alias = is_service_ ? srv_.answer.alias
                             : resolver_.conf_.ipv6
                                 ? aaaa_.answer.alias
                                 : a_.answer.alias;  // as nginx: the later one decides
  if (error_ == ResolveError::kNone && !found) {
    if (!alias.empty() && alias != "." && aliases_followed_ < kMaxAliases) {
      ++aliases_followed_;
      target_ = std::string(alias);
      return Ask();
    }
    error_ = ResolveError::kNotFound;
  }
  resolver_.OnQueryEnd(*this);
}

std::shared_ptr<ResolveAnswer> NameQuery::MakeAnswer() const {
  auto answer = std::make_shared<ResolveAnswer>();
  answer->error = error_;
  if (error_ != ResolveError::kNone) return answer;
  answer->services = srv_.answer.services;
  answer->addresses = a_.answer.addresses;
  const auto& v6 = aaaa_.answer.addresses;
  answer->addresses.insert(answer->addresses.end(), v6.begin(), v6.end());
  return answer;
}

}  // namespace limpet::worker
