// session_store NAME { }: a Redis (or Valkey) that several machines share their sessions through.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/socket_address.h"

namespace limpet::conf {

struct Resolver;

struct SessionStore {
  struct Server {
    std::string name;      // as written: "redis1:6379", "unix:/run/redis.sock"
    std::string host;      // a name that is resolved again; "": an address
    uint16_t port = 6379;  // where none is written: 26379 of a Sentinel
    // As they were at load; none: the name was unknown then, and there is a resolver.
    std::vector<SocketAddress> addresses;
  };
  struct Tls {
    bool on = false;
    std::string trusted_certificate;           // absolute; "": the system's
    std::string certificate, certificate_key;  // absolute, data:PEM or store:URI; "": none
    std::string name;                          // "": the server's own, as written
    bool verify = true;
  };

  std::string name;
  std::string declared_at;  // "FILE:LINE"
  std::vector<Server> servers;
  std::string sentinel;  // the master's name, if the servers are Sentinels; "": they are Redis
  std::string sentinel_password;  // what sentinel_password_file holds, as `password`; "": none
  Tls tls;
  std::string user;      // "": the default one
  std::string password;  // what password_file holds; in no dump, log or answer
  int database = 0;
  // What identifiers are hashed with: made from the bytes of the key files. The first is the one to
  // write with, the others are looked up, too. One or two.
  std::vector<SipKey> keys;
  std::string prefix = "limpet:";
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(1);
  std::chrono::milliseconds wait = std::chrono::milliseconds(50);  // of a request, at most
  int max_waiting = 1000;                                          // requests of a worker
  size_t queue = 65536;                      // changes of a worker while the store is away
  std::shared_ptr<const Resolver> resolver;  // for names; null: only as they were at load
};

}  // namespace limpet::conf
