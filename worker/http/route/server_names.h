// Chooses the server of a listening address by the request's host: exact name, then the longest
// *.name, then the longest name.*, then the first regular expression, then the default server.
// Built once per address.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "conf/config.h"
#include "proto/http1/request_parser.h"

namespace limpet::conf {
class TakenNames;
}

namespace limpet::worker {

// Whether `host` (lower case, without the port) is that name; a regular expression that gives up
// says no.
bool IsName(const conf::ServerName& name, std::string_view host);
// Whether it is one of the names that the server has been given.
bool IsNameOf(const conf::Server& server, std::string_view host);

class ServerNames {
 public:
  explicit ServerNames(const conf::ListenGroup& group);

  struct Match {
    const conf::Server* server = nullptr;
    bool named = true;  // false: nobody has this name, it is the default server
    // Set if a regular expression matched: its groups are in *captures.
    const conf::ServerName* regex = nullptr;
    std::string failure = {};  // why a regular expression gave up: no server may have the request
  };
  // `host`: lower case, without the port.
  Match Find(std::string_view host, conf::Captures* captures) const;
  // By the name in a TLS handshake, as the client has sent it.
  Match FindForTls(std::string_view name) const;

  // Limits on heads apply before the server is known: the most that any server of the address
  // allows. What becomes of unusual names is the default server's to say.
  const proto::HeadLimits& head_limits() const { return head_limits_; }
  // The same with what `server` says of fields, which is for when it is known.
  proto::HeadLimits LimitsOf(const conf::Server& server) const;
  bool fields_differ() const { return fields_differ_; }  // between servers of the address
  // The server that the head asks for; `first` if it names none.
  const conf::Server& OfHead(const proto::RequestHead& head, const conf::Server& first) const;
  const conf::Server& OfHost(std::string_view field, const conf::Server& first) const;

 private:
  using Map = std::unordered_map<std::string, const conf::Server*, HashText, std::equal_to<>>;
  void Add(const conf::ServerName& name, const conf::Server* server, conf::TakenNames* taken);
  const conf::Server* FindWildcard(std::string_view host) const;

  const conf::ListenGroup& group_;
  bool only_default_ = true;
  bool fields_differ_ = false;
  proto::HeadLimits head_limits_;
  Map exact_, head_, tail_;  // head_: ".example.com" of *.example.com; tail_: "www." of www.*
  std::vector<std::pair<const conf::ServerName*, const conf::Server*>> regexes_;
};

}  // namespace limpet::worker
