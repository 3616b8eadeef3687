#include "worker/http/proxy/proxy_plan.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "conf/proxy_redirect.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

// What a client says to us, not to the upstream: replaced by our own or not sent.
constexpr std::array kNotForwarded = {
    HeaderId::kHost,   HeaderId::kConnection,    HeaderId::kProxyConnection,
    HeaderId::kTe,     HeaderId::kContentLength, HeaderId::kTransferEncoding,
    HeaderId::kExpect, HeaderId::kKeepAlive,     HeaderId::kUpgrade};

// nginx's proxy_hide_header defaults.
constexpr std::array kHiddenByDefault = {"Date",
                                         "Server",
                                         "X-Pad",
                                         "X-Accel-Expires",
                                         "X-Accel-Redirect",
                                         "X-Accel-Limit-Rate",
                                         "X-Accel-Buffering",
                                         "X-Accel-Charset"};

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](const std::string& n) { return EqualsIgnoreCase(n, name); });
}

}  // namespace

void HeaderNames::Add(std::string_view name) {
  const HeaderId id = proto::LookupHeader(name);
  if (id != HeaderId::kOther) {
    known_.Add(id);
  } else if (!HasOther(name)) {
    others_.emplace_back(name);
  }
}

bool HeaderNames::HasOther(std::string_view name) const { return Contains(others_, name); }

ProxyPlan::ProxyPlan(const conf::Location& location) {
  const conf::ProxySettings& proxy = location.proxy;
  for (const HeaderId id : kNotForwarded) overridden.Add(proto::Name(id));
  for (const conf::SetHeader& header : proxy.set_headers) {
    overridden.Add(header.name);
    const HeaderId id = proto::LookupHeader(header.name);
    if (proto::IsFraming(id)) {  // the body's own: a value of the operator's could not be true
      no_zero_length |= id == HeaderId::kContentLength && header.value.empty();
    } else if (id == HeaderId::kHost) {
      host = &header.value;
    } else if (!header.value.empty()) {
      set_headers.push_back(&header);
    }
  }

  for (const char* name : kHiddenByDefault) {
    if (!Contains(proxy.pass_headers, name)) hidden.Add(name);
  }
  for (const std::string& name : proxy.hide_headers) {
    if (!Contains(proxy.pass_headers, name)) hidden.Add(name);
  }

  redirect_default = proxy.redirect_default && !proxy.pass.has_variables;
  if (!redirect_default) return;
  const conf::RedirectRule rule = conf::DefaultRedirect(location);
  redirect_prefix = rule.prefix.constant();
  redirect_to = rule.replacement.constant();
}

}  // namespace limpet::worker
