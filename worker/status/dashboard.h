// The page of `dashboard`: one HTML document without outside resources, embedded at build time from
// dashboard.html, which shows what the api says and refreshes itself.
#pragma once

#include <string>
#include <string_view>

namespace limpet::worker {

struct Dashboard {
  std::string html;
  // Its Content-Security-Policy: only its own script and style, for this answer.
  std::string policy;
};

// `api`: the path of the api that the page reads, as configured.
Dashboard MakeDashboard(std::string_view api);

}  // namespace limpet::worker
