#include "worker/upstream/name_query.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/text.h"

namespace limpet::worker {
namespace {

constexpr int kMaxAliases = 50;  // as nginx: a chain of CNAMEs may be a ring

ResolveError ErrorOf(int status) {
  switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:  // nothing but a CNAME, perhaps
      return ResolveError::kNone;
    case ARES_EFORMERR:
    case ARES_EBADRESP:
      return ResolveError::kFormat;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
      return ResolveError::kNotFound;
    case ARES_ENOTIMP:
      return ResolveError::kUnimplemented;
    case ARES_EREFUSED:
      return ResolveError::kRefused;
    case ARES_ETIMEOUT:
      return ResolveError::kTimeout;
    default:
      return ResolveError::kServer;
  }
}

SocketAddress AddressOf(const ns_rr& record) {
  SocketAddress address = SocketAddress::Any(ns_rr_type(record) == ns_t_a ? AF_INET : AF_INET6, 0);
  if (address.family() == AF_INET) {
    std::memcpy(&reinterpret_cast<sockaddr_in*>(address.get())->sin_addr, ns_rr_rdata(record), 4);
  } else {
    std::memcpy(&reinterpret_cast<sockaddr_in6*>(address.get())->sin6_addr, ns_rr_rdata(record),
                16);
  }
  return address;
}

}  // namespace

struct NameQuery::Message {
  const unsigned char* begin;
  const unsigned char* end;
  ns_msg parsed{};

  // The name at `at`, in lower case; nothing if it is broken.
  std::optional<std::string> NameAt(const unsigned char* at) const {
    char text[NS_MAXDNAME];
    if (ns_name_uncompress(begin, end, at, text, sizeof text) < 0) return std::nullopt;
    return ToLower(text);
  }
};

NameQuery::NameQuery(Resolver& resolver, std::string key)
    : resolver_(resolver), key_(std::move(key)), is_service_(key_.starts_with(kServiceKey)) {
  target_ = is_service_ ? key_.substr(kServiceKey.size()) : key_;
}

void NameQuery::Ask() {
  a_ = aaaa_ = srv_ = {};
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

void NameQuery::Send(Question& question, int type) {
  question.query = this;
  question.type = type;
  if (resolver_.channel_ == nullptr) return OnReply(&question, ARES_ENOMEM, 0, nullptr, 0);
  ares_query(resolver_.channel_, target_.c_str(), ns_c_in, type, &NameQuery::OnReply, &question);
}

void NameQuery::OnReply(void* question_ptr, int status, int, unsigned char* bytes,
                        int size) noexcept {
  if (status == ARES_EDESTRUCTION) return;  // the resolver goes, and we with it
  auto& question = *static_cast<Question*>(question_ptr);
  NameQuery& self = *question.query;
  const ResolveError error = ErrorOf(status);
  if (error != ResolveError::kNone) {
    self.error_ = std::max(self.error_, error);
  } else if (bytes != nullptr) {
    self.Read(question, bytes, size);
  }
  if (--self.unanswered_ == 0) self.AllAnswered();
}

void NameQuery::Read(Question& question, const unsigned char* bytes, int size) {
  Message message{.begin = bytes, .end = bytes + size};
  bool good = ns_initparse(bytes, size, &message.parsed) == 0;
  const int records = good ? ns_msg_count(message.parsed, ns_s_an) : 0;
  for (int i = 0; good && i < records; ++i) good = ReadRecord(question, message, i);
  if (!good) error_ = ResolveError::kFormat;
}

// False if it is broken. Records of other types are none of ours.
bool NameQuery::ReadRecord(Question& question, Message& message, int number) {
  ns_rr record;
  if (ns_parserr(&message.parsed, ns_s_an, number, &record) != 0) return false;
  const int type = ns_rr_type(record);
  const unsigned char* const data = ns_rr_rdata(record);
  if (type == ns_t_cname) {
    const auto alias = message.NameAt(data);
    if (!alias) return false;
    question.alias = *alias;
  } else if (type != question.type) {
    return true;
  } else if (type == ns_t_srv) {
    if (ns_rr_rdlen(record) < 7) return false;
    const auto target = message.NameAt(data + 6);
    if (!target) return false;
    const auto number_at = [data](int at) { return static_cast<uint16_t>(ns_get16(data + at)); };
    question.services.push_back({.target = *target,
                                 .port = number_at(4),
                                 .priority = number_at(0),
                                 .weight = number_at(2)});
  } else {
    if (ns_rr_rdlen(record) != (type == ns_t_a ? 4 : 16)) return true;
    question.addresses.push_back(AddressOf(record));
  }
  ttl_ = std::min(ttl_, static_cast<uint32_t>(ns_rr_ttl(record)));
  return true;
}

// A server that knows the addresses sends them along with the CNAME; one that does not leaves us to
// ask for them.
void NameQuery::AllAnswered() {
  const bool found = !a_.addresses.empty() || !aaaa_.addresses.empty() || !srv_.services.empty();
  const std::string& alias = is_service_            ? srv_.alias
                             : resolver_.conf_.ipv6 ? aaaa_.alias
                                                    : a_.alias;  // as nginx: the later one decides
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
  answer->services = srv_.services;
  answer->addresses = a_.addresses;
  answer->addresses.insert(answer->addresses.end(), aaaa_.addresses.begin(), aaaa_.addresses.end());
  return answer;
}

}  // namespace limpet::worker
