// Which server names of a listening address are taken.
#pragma once

#include <set>
#include <string_view>

#include "conf/listen.h"

namespace limpet::conf {

// What a server without server_name is called: requests that name no host are its own.
inline const ServerName kNameless;

// Asked for the names of one address in the order of its servers: the first with a name keeps it.
// Views of the names are kept.
class TakenNames {
 public:
  // False: ignore the name, all of it. ".a.b" is both a.b and *.a.b: it needs both, and where it
  // gets only a.b, nobody after it gets that either. So does nginx, and configurations rely on who
  // answers then: the default server.
  bool Take(const ServerName& name) {
    using Kind = ServerName::Kind;
    switch (name.kind) {
      case Kind::kExact:
        return exact_.insert(name.text).second;
      case Kind::kDotted:
        return exact_.insert(name.text).second && head_.insert(name.text).second;
      case Kind::kWildcardHead:
        return head_.insert(name.text).second;
      case Kind::kWildcardTail:
        return tail_.insert(name.text).second;
      case Kind::kRegex:
      case Kind::kNone:
        return true;
    }
    return true;
  }

 private:
  std::set<std::string_view> exact_, head_, tail_;
};

}  // namespace limpet::conf
