// The tables of directives, one for each group, each in the .cc named after it.
#pragma once

#include <span>

#include "conf/directive.h"

namespace limpet::conf {

extern const std::span<const Row> kCoreDirectives;
extern const std::span<const Row> kEventsDirectives;
extern const std::span<const Row> kServerDirectives;
extern const std::span<const Row> kLocationDirectives;
extern const std::span<const Row> kClientDirectives;
extern const std::span<const Row> kHttp2Directives;
extern const std::span<const Row> kProxyDirectives;
extern const std::span<const Row> kProxyRewritingDirectives;
extern const std::span<const Row> kProxyTlsDirectives;
extern const std::span<const Row> kUpstreamDirectives;
extern const std::span<const Row> kBalanceDirectives;
extern const std::span<const Row> kStickyDirectives;
extern const std::span<const Row> kRebalanceDirectives;
extern const std::span<const Row> kSessionStoreDirectives;
extern const std::span<const Row> kHealthCheckDirectives;
extern const std::span<const Row> kRewriteDirectives;
extern const std::span<const Row> kVariableDirectives;
extern const std::span<const Row> kGeoip2Directives;
extern const std::span<const Row> kJwtDirectives;
extern const std::span<const Row> kAccessDirectives;
extern const std::span<const Row> kLimitDirectives;
extern const std::span<const Row> kRealIpDirectives;
extern const std::span<const Row> kHeaderDirectives;
extern const std::span<const Row> kStaticDirectives;
extern const std::span<const Row> kGzipDirectives;
extern const std::span<const Row> kTextDirectives;
extern const std::span<const Row> kRefererDirectives;
extern const std::span<const Row> kBrowserDirectives;
extern const std::span<const Row> kLogDirectives;
extern const std::span<const Row> kTlsDirectives;
extern const std::span<const Row> kStatusDirectives;

}  // namespace limpet::conf
