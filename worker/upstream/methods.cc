#include "worker/upstream/methods.h"

#include <array>

namespace limpet::worker {
namespace {

using conf::BalanceMethod;

struct MethodRow {
  BalanceMethod method;
  MakeMethod* make;
};

constexpr auto kMethods = std::to_array<MethodRow>({
    {BalanceMethod::kRoundRobin, MakeRoundRobin},
    {BalanceMethod::kLeastConn, MakeLeastConn},
    {BalanceMethod::kLeastTime, MakeLeastTime},
    {BalanceMethod::kRandom, MakeRandom},
    {BalanceMethod::kRandomTwoLeastConn, MakeRandomTwo},
    {BalanceMethod::kHash, MakeHash},
    {BalanceMethod::kHashConsistent, MakeHashConsistent},
    {BalanceMethod::kIpHash, MakeIpHash},
    {BalanceMethod::kLeastSessions, MakeLeastSessions},
});

static_assert(kMethods.size() == conf::kBalanceRows.size());
static_assert([] {
  for (size_t i = 0; i < kMethods.size(); ++i) {
    if (kMethods[i].method != conf::kBalanceRows[i].method) return false;
  }
  return true;
}());

}  // namespace

std::unique_ptr<Balancer> MakeBalancer(const MethodContext& context) {
  return kMethods[static_cast<size_t>(context.conf.method)].make(context);
}

}  // namespace limpet::worker
