#include "conf/geo.h"
#include "conf/split_clients.h"
#include "conf/tables.h"
namespace limpet::conf {
constinit const std::span<const Row> kAccessDirectives;
constinit const std::span<const Row> kLimitDirectives;
constinit const std::span<const Row> kRealIpDirectives;
constinit const std::span<const Row> kHeaderDirectives;
constinit const std::span<const Row> kStaticDirectives;
constinit const std::span<const Row> kGzipDirectives;
constinit const std::span<const Row> kTlsDirectives;
constinit const std::span<const Row> kStatusDirectives;
Status GeoBlock(Block&, const Directive& d) { return At(d, "not yet"); }
Status SplitClientsBlock(Block&, const Directive& d) { return At(d, "not yet"); }
}  // namespace limpet::conf
