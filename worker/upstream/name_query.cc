#include "worker/upstream/name_query.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

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

void NameQuery::Ask() {
  if (target_.empty()) target_ = name_;
  a_ = aaaa_ = {};
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
  ns_msg message;
  if (ns_initparse(bytes, size, &message) != 0) {
    error_ = ResolveError::kFormat;
    return;
  }
  const int records = ns_msg_count(message, ns_s_an);
  for (int i = 0; i < records; ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) {
      error_ = ResolveError::kFormat;
      return;
    }
    const size_t address_size = question.type == ns_t_a ? 4 : 16;
    const int type = ns_rr_type(record);
    if (type == ns_t_cname) {
      char alias[NS_MAXDNAME];
      if (ns_name_uncompress(bytes, bytes + size, ns_rr_rdata(record), alias, sizeof alias) < 0) {
        error_ = ResolveError::kFormat;
        return;
      }
      question.alias = alias;
    } else if (type == question.type && ns_rr_rdlen(record) == address_size) {
      question.addresses.push_back(AddressOf(record));
    } else {
      continue;
    }
    ttl_ = std::min(ttl_, static_cast<uint32_t>(ns_rr_ttl(record)));
  }
}

// A server that knows the addresses sends them along with the CNAME; one that does not leaves us to
// ask for them.
void NameQuery::AllAnswered() {
  const bool found = !a_.addresses.empty() || !aaaa_.addresses.empty();
  const std::string& alias =
      resolver_.conf_.ipv6 ? aaaa_.alias : a_.alias;  // as nginx: the later question decides
  if (error_ == ResolveError::kNone && !found) {
    if (!alias.empty() && alias != "." && aliases_followed_ < kMaxAliases) {
      ++aliases_followed_;
      target_ = alias;
      return Ask();
    }
    error_ = ResolveError::kNotFound;
  }
  resolver_.OnQueryEnd(*this);
}

std::shared_ptr<const ResolveAnswer> NameQuery::MakeAnswer() const {
  auto answer = std::make_shared<ResolveAnswer>();
  answer->error = error_;
  if (error_ != ResolveError::kNone) return answer;
  answer->addresses = a_.addresses;
  answer->addresses.insert(answer->addresses.end(), aaaa_.addresses.begin(), aaaa_.addresses.end());
  return answer;
}

}  // namespace limpet::worker
