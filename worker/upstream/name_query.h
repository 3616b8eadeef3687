// One name being resolved: its A and AAAA questions, its CNAMEs, and who waits. Part of the
// resolver.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/upstream/resolver.h"

namespace limpet::worker {

class NameQuery {
 public:
  NameQuery(Resolver& resolver, std::string name) : resolver_(resolver), name_(std::move(name)) {}

  void Ask();  // ends by Resolver::OnQueryEnd, perhaps before it returns
  const std::string& name() const { return name_; }
  uint32_t ttl() const { return ttl_; }
  std::shared_ptr<const ResolveAnswer> MakeAnswer() const;

  std::vector<Lookup*> waiting;

 private:
  // One of the two questions; c-ares calls back with its address.
  struct Question {
    NameQuery* query = nullptr;
    int type = 0;
    std::vector<SocketAddress> addresses{};
    std::string alias{};
  };
  static void OnReply(void* question, int status, int timeouts, unsigned char* bytes,
                      int size) noexcept;
  void Send(Question& question, int type);
  void Read(Question& question, const unsigned char* bytes, int size);
  void AllAnswered();

  Resolver& resolver_;
  std::string name_;
  std::string target_;  // what is being asked: the name, or what it is an alias of
  Question a_, aaaa_;
  int unanswered_ = 0;
  int aliases_followed_ = 0;
  uint32_t ttl_ = UINT32_MAX;  // seconds
  ResolveError error_ = ResolveError::kNone;
};

}  // namespace limpet::worker
