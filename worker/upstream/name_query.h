// One name being resolved: its A and AAAA questions or its SRV question, its CNAMEs, and who waits.
// Part of the resolver.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/upstream/dns_message.h"
#include "worker/upstream/resolver.h"

namespace limpet::worker {

class NameQuery {
 public:
  static constexpr std::string_view kServiceKey = "SRV ";  // no name has a blank

  // `key` is the name, or the name of a service behind kServiceKey.
  NameQuery(Resolver& resolver, std::string key);

  void Ask();  // ends by Resolver::OnQueryEnd, perhaps before it returns
  Resolver& resolver() { return resolver_; }
  const std::string& key() const { return key_; }
  uint32_t ttl() const { return ttl_; }
  std::shared_ptr<ResolveAnswer> MakeAnswer() const;

  std::vector<Lookup*> waiting;

 private:
  // One of the questions; c-ares calls back with its address.
  struct Question {
    NameQuery* query = nullptr;
    int type = 0;
    DnsAnswer answer{};
  };
  static void OnReply(void* question, int status, int timeouts, unsigned char* bytes,
                      int size) noexcept;
  void Send(Question& question, int type);
  void Read(Question& question, std::string_view message);
  void OneAnswered();
  void OnRetry();
  void AllAnswered();

  Resolver& resolver_;
  std::string key_;
  bool is_service_;
  std::string target_;  // what is being asked: the name, or what it is an alias of
  Question a_, aaaa_, srv_;
  int unanswered_ = 0;
  bool unreachable_ = false;  // by one of the questions: none of their answers counts
  Timer retry_;
  int aliases_followed_ = 0;
  uint32_t ttl_ = UINT32_MAX;  // seconds
  ResolveError error_ = ResolveError::kNone;
};

}  // namespace limpet::worker
