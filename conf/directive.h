// The row of a directive, and the block that its handler fills.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "conf/syntax.h"

namespace limpet::conf {

class Loader;

// Where a directive may stand.
enum Context : uint32_t {
  kMain = 1u << 0,
  kEvents = 1u << 1,
  kHttp = 1u << 2,
  kUpstream = 1u << 3,
  kServer = 1u << 4,
  kLocation = 1u << 5,
  kServerIf = 1u << 6,
  kLocationIf = 1u << 7,
  kLimitExcept = 1u << 8,
  kSessionStore = 1u << 9,
};
constexpr uint32_t kHttpServerLocation = kHttp | kServer | kLocation;

// How many arguments a directive takes: bit n for n, and everything from `from` on.
struct Arity {
  uint32_t exact = 0;
  uint8_t from = 255;
  constexpr bool Allows(size_t n) const { return (n < 32 && (exact >> n & 1u) != 0) || n >= from; }
};
template <class... N>
constexpr Arity Takes(N... n) {
  return {((1u << n) | ...), 255};
}
constexpr Arity AtLeast(uint8_t n) { return {0, n}; }
constexpr Arity kNoArgs = Takes(0);
constexpr Arity kOneArg = Takes(1);

// How the loader treats a row.
enum Trait : uint32_t {
  kOnce = 0,           // a second mention in a block is an error
  kMany = 1u << 0,     // adds to a list; the handler asks Block::First to drop what was inherited
  kBlock = 1u << 1,    // has { }; its handler loads it and places its own errors
  kEarly = 1u << 2,    // defines what others name: applied before the other directives of its block
  kOrdered = 1u << 3,  // applied after the plain settings of its block, in the order written: the
                       // rewrite script
  kInert = 1u << 4,    // nginx's, with nothing to do here: -t has a notice of it (see WhyInert)
  kUndone = 1u << 5,   // nginx's, and not done here, without harm to what is answered: a warning
};

// A block being loaded: where it is, and what its directives may fill. What does not exist in a
// context is null.
struct Block {
  Loader& loader;
  Context context;
  Config& config;
  Http* http = nullptr;
  Server* server = nullptr;
  Location* location = nullptr;  // of http: what servers begin with
  HeadSettings* head = nullptr;
  TlsSettings* tls = nullptr;
  Http2Settings* http2 = nullptr;
  Upstream* upstream = nullptr;
  SessionStore* store = nullptr;
  RewriteScript* script = nullptr;
  std::vector<const void*> seen{};  // rows and lists mentioned in this block

  // True at the first mention of `what` (a row, a list) in this block.
  bool First(const void* what);
};

// A plain row's error is a bare message: the loader adds the place. A block's error has its place
// already.
using Handler = Status (*)(Block& block, const Directive& directive);

struct Row {
  std::string_view name;
  uint32_t contexts;
  Arity arity;
  uint32_t traits;
  Handler handler;
  std::string_view default_value;  // as one would write it; "" if there is none
  std::string_view doc;            // one line
};

struct Group {
  std::string_view title;
  std::span<const Row> rows;
};

// All tables, in the order of DIRECTIVES.md.
std::span<const Group> DirectiveGroups();

// Of an inert or undone row, from its documentation "accepted; WHY" or "accepted with a warning;
// WHY".
std::string_view WhyInert(const Row& row);

// What the row takes, as its documentation has it in front of a colon: "KEY [consistent]"; "" if it
// does not say.
std::string_view Usage(const Row& row);

// "1 argument", "1 or 2 arguments", "1 or more arguments".
std::string CountText(const Arity& arity);
// "main, http, server", as the pages and messages name contexts.
std::string ContextNames(uint32_t contexts);

// "FILE:LINE", and an error with it at its end.
std::string Where(const Directive& directive);
Error At(const Directive& directive, std::string_view message);

// The text of conf/DIRECTIVES.md.
std::string DirectivesMarkdown();

}  // namespace limpet::conf
