// proxy_redirect and proxy_cookie_*: what an upstream's Location, Refresh and Set-Cookie become for
// the client; first without an exchange, for tests. Results are views or in the reader's memory;
// nullopt: unchanged.
#pragma once

#include <optional>
#include <string_view>

#include "conf/proxy.h"
#include "conf/variables.h"
#include "worker/http/proxy/proxy_plan.h"

namespace limpet::worker {

class Exchange;

// The first rule that matches counts.
std::optional<std::string_view> RewriteRedirectUrl(conf::VariableReader& reader,
                                                   const conf::ProxySettings& proxy,
                                                   const ProxyPlan& plan, std::string_view url);

// A Refresh value: "5; url=…"; the URL in it is rewritten.
std::optional<std::string_view> RewriteRefresh(conf::VariableReader& reader,
                                               const conf::ProxySettings& proxy,
                                               const ProxyPlan& plan, std::string_view value);

std::optional<std::string_view> RewriteSetCookie(conf::VariableReader& reader,
                                                 const conf::ProxySettings& proxy,
                                                 std::string_view value);

// As the exchange's location has it: proxy_redirect on Location and Refresh; proxy_cookie_domain,
// _path and _flags on Set-Cookie. The new value is in the arena.
std::optional<std::string_view> RewriteLocationField(Exchange& exchange, std::string_view value);
std::optional<std::string_view> RewriteRefreshField(Exchange& exchange, std::string_view value);
std::optional<std::string_view> RewriteSetCookieField(Exchange& exchange, std::string_view value);

}  // namespace limpet::worker
