// All tables, and the page written from them.
#include <fmt/core.h>

#include <array>

#include "conf/directive.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

struct ContextName {
  uint32_t bit;
  std::string_view name;
};
constexpr std::array kContextNames = std::to_array<ContextName>({
    {kMain, "main"},
    {kEvents, "events"},
    {kHttp, "http"},
    {kUpstream, "upstream"},
    {kServer, "server"},
    {kLocation, "location"},
    {kServerIf, "if in server"},
    {kLocationIf, "if in location"},
    {kLimitExcept, "limit_except"},
    {kSessionStore, "session_store"},
});

std::string ArityText(const Row& row) {
  std::string text;
  for (size_t n = 0; n < 32; ++n) {
    if (row.arity.from <= n || !row.arity.Allows(n)) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", n);
  }
  if (row.arity.from != 255) text += fmt::format("{}{}+", text.empty() ? "" : ", ", row.arity.from);
  return text + (row.traits & kBlock ? " { }" : "");
}

// A pipe would end a table's cell.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string DefaultText(std::string_view text) {
  return text.empty() ? "—" : fmt::format("`{}`", Cell(text));
}

}  // namespace

std::string ContextNames(uint32_t contexts) {
  std::string names;
  for (const ContextName& c : kContextNames) {
    if (!(contexts & c.bit)) continue;
    if (!names.empty()) names += ", ";
    names += c.name;
  }
  return names;
}

std::string CountText(const Arity& arity) {
  std::string counts;
  for (int n = 0; n < 32; ++n) {
    if ((arity.exact >> n & 1u) != 0)
      counts += fmt::format("{}{}", counts.empty() ? "" : " or ", n);
  }
  if (arity.from != 255)
    counts += fmt::format("{}{} or more", counts.empty() ? "" : ", ", arity.from);
  if (counts == "0") return "no arguments";
  return counts + (counts == "1" ? " argument" : " arguments");
}

std::string_view Usage(const Row& row) {
  const std::string_view taken = row.doc.substr(0, row.doc.find(": "));
  const bool is_syntax =
      (taken.find(" | ") != std::string_view::npos || taken.find('[') != std::string_view::npos ||
       taken.find("…") != std::string_view::npos) &&
      taken.find(';') == std::string_view::npos;
  return is_syntax ? taken : std::string_view();
}

std::string_view WhyInert(const Row& row) {
  const size_t at = row.doc.find("; ");
  return at == std::string_view::npos ? row.doc : row.doc.substr(at + 2);
}

std::span<const Group> DirectiveGroups() {
  static const std::array kGroups = std::to_array<Group>({
      {"Processes", kCoreDirectives},
      {"Events", kEventsDirectives},
      {"Servers", kServerDirectives},
      {"Locations", kLocationDirectives},
      {"Client requests", kClientDirectives},
      {"HTTP/2", kHttp2Directives},
      {"Proxying", kProxyDirectives},
      {"TLS towards upstreams", kProxyTlsDirectives},
      {"Proxied heads rewritten", kProxyRewritingDirectives},
      {"Upstreams", kUpstreamDirectives},
      {"Balancing methods", kBalanceDirectives},
      {"Stickiness", kStickyDirectives},
      {"Rebalancing", kRebalanceDirectives},
      {"Session stores", kSessionStoreDirectives},
      {"Health checks", kHealthCheckDirectives},
      {"Rewriting", kRewriteDirectives},
      {"Variables", kVariableDirectives},
      {"Places by address", kGeoip2Directives},
      {"Tokens", kJwtDirectives},
      {"Access", kAccessDirectives},
      {"Referers", kRefererDirectives},
      {"Browsers", kBrowserDirectives},
      {"Limits", kLimitDirectives},
      {"Real client addresses", kRealIpDirectives},
      {"Response headers", kHeaderDirectives},
      {"Files", kStaticDirectives},
      {"Compression", kGzipDirectives},
      {"Text", kTextDirectives},
      {"Logs", kLogDirectives},
      {"TLS", kTlsDirectives},
      {"Status", kStatusDirectives},
  });
  return kGroups;
}

std::string DirectivesMarkdown() {
  std::string page =
      "# Directives\n\n"
      "Written from the tables in conf/ that parse them; a test fails when this page is stale.\n"
      "Paths are an installation's. With `-p PREFIX` they are beneath it: logs/limpet.pid, "
      "logs/limpet.sock,\nlogs/error.log, state/, client_body_temp/, proxy_temp/.\n";
  for (const Group& group : DirectiveGroups()) {
    page += fmt::format(
        "\n## {}\n\n| directive | arguments | default | contexts | |\n|---|---|---|---|---|\n",
        group.title);
    for (const Row& row : group.rows) {
      page +=
          fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name, ArityText(row),
                      DefaultText(row.default_value), ContextNames(row.contexts), Cell(row.doc));
    }
  }
  return page;
}

}  // namespace limpet::conf
