// Blocks that define variables, and types { }.
#include <array>

#include "conf/geo.h"
#include "conf/map.h"
#include "conf/setting.h"
#include "conf/split_clients.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

constexpr std::array kRows = std::to_array<Row>({
    {"map", kHttp, Takes(2), kBlock | kMany | kEarly, MapBlock, "",
     "SOURCE $NAME { KEY VALUE; … }: keys are texts, ~patterns, host names (hostnames), default"},
    {"geo", kHttp, Takes(1, 2), kBlock | kMany | kEarly, GeoBlock, "",
     "[$ADDRESS] $NAME { NETWORK VALUE; … }: also ranges, default, delete, proxy, proxy_recursive"},
    {"split_clients", kHttp, Takes(2), kBlock | kMany | kEarly, SplitClientsBlock, "",
     "KEY $NAME { 10% VALUE; … * VALUE; }: shares of a key's hash"},
    {"map_hash_bucket_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
    {"map_hash_max_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "2048",
     "accepted; hashes grow by themselves"},
});

}  // namespace

constinit const std::span<const Row> kVariableDirectives = kRows;

}  // namespace limpet::conf
