// The configuration: any text loads or is an error that says where; what loads, loads again to the
// same. No file is included, and no name is looked up (no_names.cc).
#include <string>

#include "base/text.h"
#include "conf/config.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet;

namespace {

constexpr std::string_view kFile = "t.conf";

bool ReadsFiles(std::string_view text) {
  for (const std::string_view word : {"include", "/dev", "/proc"}) {
    if (text.find(word) != text.npos) return true;
  }
  return false;
}

Result<std::unique_ptr<const conf::Config>> Load(std::string_view text) {
  return conf::LoadText(std::string(text),
                        {.prefix = "/nowhere/", .file = std::string(kFile), .cpus = 4});
}

// "… in t.conf:3"
bool SaysWhere(std::string_view message) {
  const size_t at = message.rfind(kFile);
  if (at == message.npos || !message.substr(at + kFile.size()).starts_with(':')) return false;
  return ParseDecimal(message.substr(at + kFile.size() + 1)).has_value();
}

// What a configuration says, as far as text can tell it.
class Summary {
 public:
  explicit Summary(const conf::Config& config) {
    Add(config.pid_path, config.user, config.control_path, config.state_path);
    Add(config.worker_processes, config.worker_connections);
    for (const std::string& warning : config.warnings) Add(warning);
    if (config.http != nullptr) AddHttp(*config.http);
  }
  const std::string& text() const { return text_; }

 private:
  void AddText(std::string_view part) { text_.append(part).append("\n"); }
  void AddText(int number) { AddText(std::to_string(number)); }
  template <class... Parts>
  void Add(const Parts&... parts) {
    (AddText(parts), ...);
  }

  void AddHttp(const conf::Http& http) {
    for (const auto& upstream : http.upstreams) AddUpstream(*upstream);
    for (const auto& server : http.servers) AddServer(*server);
    for (const auto& group : http.listens) {
      Add(group.listen.address.ToString(), group.served_by);
      for (const conf::Server* server : group.servers) Add(server->index);
    }
    for (const auto& zone : http.session_zones) Add(zone.name, std::to_string(zone.size));
    for (const auto& file : http.access_log_files) Add(file);
    for (size_t id = 0; id < http.variables.size(); ++id)
      Add(http.variables[static_cast<conf::VariableId>(id)].name);
  }
  void AddUpstream(const conf::Upstream& upstream) {
    Add(upstream.name, static_cast<int>(upstream.method), upstream.hash_key.source());
    Add(static_cast<int>(upstream.sticky.kind), upstream.sticky.learn.zone);
    for (const auto& server : upstream.servers) {
      Add(server.name, server.weight, server.max_conns, server.route);
      for (const auto& address : server.addresses) Add(address.ToString());
    }
  }
  void AddServer(const conf::Server& server) {
    Add(server.name, server.declared_at);
    AddLocation(*server.root);
    for (const auto& location : server.locations) AddLocation(*location);
  }
  void AddLocation(const conf::Location& location) {
    const conf::ProxyPass& pass = location.proxy.pass;
    Add(location.name, static_cast<int>(location.kind), pass.upstream, pass.url.source(), pass.uri);
    for (const auto& [uri, child] : location.children.prefixes) Add(uri);
  }

  std::string text_;
};

}  // namespace

FUZZ_TARGET(conf, input) {
  if (ReadsFiles(input)) return;
  const auto first = Load(input);
  const auto second = Load(input);
  FUZZ_CHECK(static_cast<bool>(first) == static_cast<bool>(second), "it loads only sometimes");
  if (!first) {
    const std::string& message = first.error().message;
    FUZZ_CHECK(message == second.error().message, "its error changes");
    FUZZ_CHECK(SaysWhere(message), message);
    return;
  }
  FUZZ_CHECK(Summary(**first).text() == Summary(**second).text(), "it loads to something else");
}
