// The balancing methods of an upstream: what the configuration, its notices and `explain` say of
// each. The directives are in balance_directives.cc, how each chooses in worker/upstream/methods.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace limpet::conf {

struct Upstream;

enum class BalanceMethod : uint8_t {
  kRoundRobin,
  kLeastConn,
  kLeastTime,
  kRandom,
  kRandomTwoLeastConn,
  kHash,
  kHashConsistent,
  kIpHash,
  kLeastSessions
};

// What a method goes by.
enum class BalanceBasis : uint8_t {
  kRequests,  // spreads requests: sticky sessions may gather at one server
  kSessions,  // spreads sticky sessions, counting those that requests under way may begin
  kKey,       // Upstream::hash_key leads to a server
  kClient     // the client's address leads to a server
};

struct BalanceRow {
  BalanceMethod method;
  std::string_view name;    // as in the upstream block
  std::string_view reason;  // why it has chosen a server: "a:80 is chosen: REASON"
  BalanceBasis basis = BalanceBasis::kRequests;
  std::string_view doc{};  // makes `name` a directive without arguments; empty: it has its own row
};

inline constexpr auto kBalanceRows = std::to_array<BalanceRow>({
    {.method = BalanceMethod::kRoundRobin, .name = "round_robin", .reason = "it is next by weight"},
    {.method = BalanceMethod::kLeastConn,
     .name = "least_conn",
     .reason = "it has the fewest requests for its weight",
     .doc = "the server with the fewest connections for its weight"},
    {.method = BalanceMethod::kLeastTime,
     .name = "least_time",
     .reason = "it would answer soonest, by its average time and its requests"},
    {.method = BalanceMethod::kRandom,
     .name = "random",
     .reason = "by chance: asked again, it may be another"},
    {.method = BalanceMethod::kRandomTwoLeastConn,
     .name = "random two least_conn",
     .reason = "by chance: asked again, it may be another"},
    {.method = BalanceMethod::kHash,
     .name = "hash",
     .reason = "the key leads to it",
     .basis = BalanceBasis::kKey},
    {.method = BalanceMethod::kHashConsistent,
     .name = "hash consistent",
     .reason = "the key leads to it",
     .basis = BalanceBasis::kKey},
    {.method = BalanceMethod::kIpHash,
     .name = "ip_hash",
     .reason = "the client's address leads to it",
     .basis = BalanceBasis::kClient,
     .doc = "the client's address names the server"},
    {.method = BalanceMethod::kLeastSessions,
     .name = "least_sessions",
     .reason = "it has the fewest sessions for its weight",
     .basis = BalanceBasis::kSessions,
     .doc =
         "the server with the fewest sticky sessions for its weight, those counted that requests "
         "under way may begin: of this worker, or of all with \"zone\""},
});

constexpr const BalanceRow& RowOf(BalanceMethod method) {
  return kBalanceRows[static_cast<size_t>(method)];
}

static_assert([] {
  for (size_t i = 0; i < kBalanceRows.size(); ++i) {
    if (kBalanceRows[i].method != static_cast<BalanceMethod>(i)) return false;
  }
  return true;
}());

// The method as the upstream block has it, with its parameters: "least_time header inflight".
std::string MethodText(const Upstream& upstream);

}  // namespace limpet::conf
