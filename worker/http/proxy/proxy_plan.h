// What is known of a proxying location before any request comes: which header names it overrides or
// hides, and what `proxy_redirect default` means there. Worked out on first use, once per location
// and worker, so that a request pays for its own headers only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "proto/headers.h"

namespace limpet::worker {

// A set of header names: one bit for each that proto knows, a short list for all others.
class HeaderNames {
 public:
  void Add(std::string_view name);
  bool Has(const proto::Header& header) const {
    if (header.id != proto::HeaderId::kOther) return Has(header.id);
    return !others_.empty() && HasOther(header.name);
  }
  bool Has(proto::HeaderId id) const { return known_.Has(id); }

 private:
  bool HasOther(std::string_view name) const;

  proto::HeaderIds known_;
  std::vector<std::string> others_;
};

struct ProxyPlan {
  explicit ProxyPlan(const conf::Location& location);

  const conf::Template* host = nullptr;  // proxy_set_header Host; null: $proxy_host
  // Without Host, framing, and those that are always empty.
  std::vector<const conf::SetHeader*> set_headers;
  HeaderNames overridden;         // of the client's headers: not copied
  bool no_zero_length = false;    // proxy_set_header Content-Length "": not said of an empty body
  HeaderNames hidden;             // of the upstream's headers: not copied
  bool redirect_default = false;  // proxy_redirect default: from `redirect_prefix` to `redirect_to`
  std::string redirect_prefix, redirect_to;
};

class ProxyPlans {
 public:
  explicit ProxyPlans(const conf::Http& http) : plans_(http.locations) {}

  const ProxyPlan& For(const conf::Location& location) {
    auto& plan = plans_[location.index];
    if (plan == nullptr) plan = std::make_unique<const ProxyPlan>(location);
    return *plan;
  }

 private:
  std::vector<std::unique_ptr<const ProxyPlan>> plans_;  // to Location::index
};

}  // namespace limpet::worker
