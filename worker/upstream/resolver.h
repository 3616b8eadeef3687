// Names to addresses at run time: `resolver`, over c-ares, without blocking. One per worker and
// distinct `resolver`; used from the loop's thread only.
//
// Asks for A and AAAA as the configuration says, or for SRV, and follows CNAMEs itself. An answer
// is kept for the shortest of its TTLs, or for `valid=`; that a name does not exist for a second;
// other errors are not kept. All who wait for a name share one query. How long to wait is the
// caller's: a query that nobody waits for any more ends by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/socket_address.h"
#include "base/text.h"
#include "conf/config.h"
#include "worker/net/loop.h"
#include "worker/upstream/dns_message.h"

struct ares_channeldata;
namespace limpet::shm {
struct ZoneLine;
}

namespace limpet::worker {

// What went wrong, numbered as in nginx's messages: DNS codes, and ETIMEDOUT.
enum class ResolveError : uint8_t {
  kNone = 0,
  kFormat = 1,
  kServer = 2,
  kNotFound = 3,
  kUnimplemented = 4,
  kRefused = 5,
  kTimeout = 110,
};
std::string_view Name(ResolveError error);  // "Host not found"

struct ResolveAnswer {
  std::vector<SocketAddress> addresses;      // IPv4 before IPv6, with port 0
  std::vector<ServiceRecord> services;       // instead, of a service
  ResolveError error = ResolveError::kNone;  // without one, at least one of the above is there
  uint64_t until_ms = 0;  // when it is asked for again, in the loop's time; past: it was not kept
};

class NameQuery;
class Resolver;

// One who waits for one name. Destroying it cancels it.
class Lookup {
 public:
  explicit Lookup(Callback on_answer) : callback_(on_answer) {}
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() { Cancel(); }

  // True if the answer is there at once; else the callback is called once, from the loop.
  bool Start(Resolver& resolver, std::string_view name);
  // The SRV records of a name, which is complete: "_http._tcp.example.com".
  bool StartService(Resolver& resolver, std::string_view name);
  void Cancel();
  bool waiting() const { return query_ != nullptr; }
  const ResolveAnswer& answer() const { return *answer_; }

 private:
  friend class Resolver;
  bool StartKey(Resolver& resolver, std::string key);
  Callback callback_;
  NameQuery* query_ = nullptr;
  uint64_t started_ms_ = 0;  // while it waits
  std::shared_ptr<const ResolveAnswer> answer_;
};

class Resolver {
 public:
  // `counts`: of its status zone; null: nothing is counted. Outlives the resolver.
  Resolver(Loop& loop, const conf::Resolver& conf, shm::ZoneLine* counts = nullptr);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  friend class Lookup;
  friend class NameQuery;
  class Socket;
  struct Kept {
    std::shared_ptr<const ResolveAnswer> answer;
    uint64_t until_ms;
  };
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, HashText, std::equal_to<>>;

  using KeptPlace = ByName<Kept>::iterator;

  std::shared_ptr<const ResolveAnswer> FindKept(std::string_view name);
  NameQuery& FindOrStart(std::string key);
  void OnQueryEnd(NameQuery& query);
  void Deliver();
  uint64_t LifeOf(const NameQuery& query, const ResolveAnswer& answer) const;
  void Keep(const std::string& key, std::shared_ptr<const ResolveAnswer> answer);
  KeptPlace Forget(KeptPlace kept);
  void WatchSocket(int fd, bool readable, bool writable);
  void Process(int read_fd, int write_fd);
  void OnTimer();
  void ArmTimer();
  void Count(size_t word);
  void CountAnswer(ResolveError error);
  void CountLeft(uint64_t started_ms);  // somebody waits no longer

  Loop& loop_;
  const conf::Resolver& conf_;
  shm::ZoneLine* counts_;
  ares_channeldata* channel_ = nullptr;  // null: c-ares has no memory, every query fails
  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  ByName<std::unique_ptr<NameQuery>> queries_;  // by key: a service is "SRV NAME"
  ByName<Kept> kept_;
  size_t kept_records_ = 0;
  std::vector<NameQuery*> ended_;
  Deferred deliver_;
  Timer timer_;
};

}  // namespace limpet::worker
