// upstream { }: the balancing method.
#include <algorithm>
#include <array>

#include "conf/constant_key.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

// Two methods in one block, or one twice: nginx takes the last with a warning.
void Choose(Block& b, const Directive& d, BalanceMethod method) {
  if (!b.First(&b.upstream->method)) b.loader.Warn(d, "load balancing method redefined");
  b.upstream->method = method;
}

Status Plain(Block& b, const Directive& d) {
  Choose(b, d, std::ranges::find(kBalanceRows, d.name, &BalanceRow::name)->method);
  return {};
}

Status Hash(Block& b, const Directive& d) {
  if (d.args.size() == 2 && d.args[1] != "consistent") return InvalidParameter(d.args[1]);
  Choose(b, d, d.args.size() == 2 ? BalanceMethod::kHashConsistent : BalanceMethod::kHash);
  return CompileKey(b, d, d.args[0], b.upstream->hash_key);
}

Status Random(Block& b, const Directive& d) {
  Choose(b, d, BalanceMethod::kRandom);
  if (d.args.empty()) return {};
  if (d.args[0] != "two") return InvalidParameter(d.args[0]);
  if (d.args.size() == 2 && d.args[1] != "least_conn") return InvalidParameter(d.args[1]);
  b.upstream->method = BalanceMethod::kRandomTwoLeastConn;
  return {};
}

Status LeastTime(Block& b, const Directive& d) {
  if (!b.First(&b.upstream->least_time_last_byte)) return Refuse(d, "is duplicate");
  if (d.args.size() == 2 && d.args[1] != "inflight") return InvalidParameter(d.args[1]);
  Choose(b, d, BalanceMethod::kLeastTime);
  if (d.args[0] != "header" && d.args[0] != "last_byte") return InvalidParameter(d.args[0]);
  b.upstream->least_time_last_byte = d.args[0] == "last_byte";
  b.upstream->least_time_inflight = d.args.size() == 2;
  return {};
}

constexpr std::array kWithParameters = std::to_array<Row>({
    {"hash", kUpstream, Takes(1, 2), kMany, Hash, "",
     "KEY [consistent]: the key's hash names the server"},
    {"least_time", kUpstream, Takes(1, 2), kMany, LeastTime, "",
     "header | last_byte [inflight]: the quickest server; inflight: by its unfinished requests, "
     "too"},
    {"random", kUpstream, Takes(0, 1, 2), kMany, Random, "",
     "[two [least_conn]]: a random server, or the better of two"},
});

constexpr bool IsPlain(const BalanceRow& row) { return !row.doc.empty(); }
constexpr size_t kPlain = static_cast<size_t>(std::ranges::count_if(kBalanceRows, IsPlain));

constexpr auto kRows = [] {
  std::array<Row, kWithParameters.size() + kPlain> rows{};
  auto* next = std::ranges::copy(kWithParameters, rows.begin()).out;
  for (const BalanceRow& row : kBalanceRows) {
    if (IsPlain(row)) *next++ = {row.name, kUpstream, kNoArgs, kMany, Plain, "", row.doc};
  }
  return rows;
}();

}  // namespace

constinit const std::span<const Row> kBalanceDirectives = kRows;

std::string MethodText(const Upstream& upstream) {
  std::string text(RowOf(upstream.method).name);
  if (upstream.method != BalanceMethod::kLeastTime) return text;
  text += upstream.least_time_last_byte ? " last_byte" : " header";
  if (upstream.least_time_inflight) text += " inflight";
  return text;
}

}  // namespace limpet::conf
