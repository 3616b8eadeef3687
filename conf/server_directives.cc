// http { }, server { }, server_name, and the limits on request heads.
#include <fmt/core.h>
#include <unistd.h>

#include <array>

#include "conf/listen_parser.h"
#include "conf/loader.h"
#include "conf/mime_types.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/upstream_server.h"

namespace limpet::conf {
namespace {

constexpr std::string_view kCombined =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
    "\"$http_referer\" "
    "\"$http_user_agent\"";

// nginx's format `combined`, number 0.
LogFormat CombinedFormat(VariableTable& variables);

// Of temporary files, until directives say where. A system's installation keeps them where a system
// keeps such things: beneath its prefix, /etc, nothing is written.
std::string DefaultTempPath(const Loader& loader, const std::string& name) {
  constexpr std::string_view kSystem = "/var/cache/limpet/";
  const LoadOptions& options = loader.options();
  const bool of_system =
      !options.default_state.empty() && !options.default_state.starts_with(options.prefix);
  return of_system ? fmt::format("{}{}", kSystem, name) : loader.FromPrefix(name);
}

Status Http(Block& outer, const Directive& d) {
  outer.config.http = std::make_unique<conf::Http>();
  conf::Http& http = *outer.config.http;
  http.log_formats.push_back(CombinedFormat(http.variables));
  Location base;
  HeadSettings head;
  TlsSettings tls;
  Http2Settings http2;
  base.response.root = Template::Literal(outer.loader.FromPrefix("html"));
  base.response.types = DefaultMimeTypes();
  base.client.body_temp_path = DefaultTempPath(outer.loader, base.client.body_temp_path);
  base.proxy.temp_path = DefaultTempPath(outer.loader, base.proxy.temp_path);
  Block block{.loader = outer.loader,
              .context = kHttp,
              .config = outer.config,
              .http = &http,
              .location = &base,
              .head = &head,
              .tls = &tls,
              .http2 = &http2};
  if (Status s = outer.loader.Apply(d.block, block); !s) return s;
  if (Status s = InheritResolvers(http, base.resolver); !s) return s;
  return FinishHttp(outer.loader, http);
}

LogFormat CombinedFormat(VariableTable& variables) {
  LogFormat format{.name = "combined"};
  if (Result<std::vector<Template>> parts = SplitLogFormat(kCombined, variables, "built in")) {
    format.parts = std::move(*parts);
  }
  return format;
}

Status Server(Block& outer, const Directive& d) {
  auto server = std::make_unique<conf::Server>();
  server->index = static_cast<int>(outer.http->servers.size());
  server->declared_at = Where(d);
  server->head = *outer.head;
  server->tls = *outer.tls;
  server->http2 = *outer.http2;
  server->root = Inherit(*outer.location, LocationKind::kRoot);
  server->root->server = server.get();
  Block block{.loader = outer.loader,
              .context = kServer,
              .config = outer.config,
              .http = outer.http,
              .server = server.get(),
              .location = server->root.get(),
              .head = &server->head,
              .tls = &server->tls,
              .http2 = &server->http2,
              .script = &server->root->rewrite};
  if (Status s = outer.loader.Apply(d.block, block); !s) return s;
  if (server->listens.empty()) server->listens.push_back(DefaultListen());
  if (!server->names.empty()) {
    const ServerName& first = server->names.front();
    const bool dotted = first.kind != ServerName::Kind::kRegex && first.source.starts_with('.');
    server->name = dotted ? first.source.substr(1) : first.source;
  }
  outer.http->servers.push_back(std::move(server));
  return {};
}

Status Listen(Block& b, const Directive& d) {
  Result<std::vector<conf::Listen>> listens = ParseListen(d);
  if (!listens) return listens.error();
  if (listens->front().http2) {
    b.loader.Warn(d,
                  "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive "
                  "instead");
  }
  for (const std::string& word : d.args) {
    if (const auto filter = After(word, "accept_filter="))
      b.loader.Warn(d,
                    fmt::format("accept filters \"{}\" are not supported on this platform, ignored",
                                *filter));
  }
  for (conf::Listen& listen : *listens) {
    for (const conf::Listen& other : b.server->listens) {
      if (other.address == listen.address) {
        return InvalidArgument(fmt::format("a duplicate listen {}", listen.address.ToString()));
      }
    }
    b.server->listens.push_back(std::move(listen));
  }
  return {};
}

std::string Hostname() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return ToLower(name.data());
}

Status RegexName(Block& b, const Directive& d, const std::string& text, ServerName* name) {
  if (text.size() == 1)
    return InvalidArgument(fmt::format("empty regex in server name \"{}\"", text));
  const std::string pattern = text.substr(1);
  const bool has_capitals =
      ToLower(pattern) != pattern;  // hosts are in lower case when they are matched
  Result<std::shared_ptr<const Regex>> regex =
      CompileRegex(b, d, pattern, has_capitals, &name->named);
  if (!regex) return regex.error();
  name->kind = ServerName::Kind::kRegex;
  name->regex = std::move(*regex);
  name->text = pattern;
  name->source = text;
  return {};
}

// A star may only be the first label or the last. Whether another one is an error shows once all
// servers are known.
void WildcardName(const std::string& text, ServerName* name) {
  const bool head = text.starts_with("*.");
  const bool tail = text.ends_with(".*");
  if (text.starts_with('.')) {
    name->kind = ServerName::Kind::kDotted;
    name->text = text.substr(1);
  } else if (head) {
    name->kind = ServerName::Kind::kWildcardHead;
    name->text = text.substr(2);
  } else if (tail) {
    name->kind = ServerName::Kind::kWildcardTail;
    name->text = text.substr(0, text.size() - 2);
  }
  const bool bad = name->text.empty() || name->text.find('*') != std::string::npos ||
                   name->text.find("..") != std::string::npos || name->text.starts_with('.');
  if (bad) name->kind = ServerName::Kind::kNone;
}

Status OneName(Block& b, const Directive& d, const std::string& text) {
  if ((text.starts_with('*') && (text.size() < 3 || text[1] != '.')) || text == ".") {
    return InvalidArgument(fmt::format("server name \"{}\" is invalid", text));
  }
  if (text.find('/') != std::string::npos) {
    b.loader.Warn(d, fmt::format("server name \"{}\" has suspicious symbols", text));
  }
  ServerName name;
  name.declared_at = Where(d);
  Status s;
  if (text.starts_with('~')) {
    s = RegexName(b, d, text, &name);
  } else {
    name.source = name.text = EqualsIgnoreCase(text, "$hostname") ? Hostname() : ToLower(text);
    if (name.text.starts_with('.') || name.text.find('*') != std::string::npos ||
        name.text.find("..") != std::string::npos)
      WildcardName(name.source, &name);
  }
  if (s) b.server->names.push_back(std::move(name));
  return s;
}

Status ServerNames(Block& b, const Directive& d) {
  for (const std::string& text : d.args) {
    if (Status s = OneName(b, d, text); !s) return s;
  }
  return {};
}

Status LargeBuffers(Block& b, const Directive& d) {
  if (Status s = Number<1>{}(b, d, d.args[0], b.head->large_buffers_count); !s) return s;
  if (Status s = Size{}(b, d, d.args[1], b.head->large_buffers_size); !s) return s;
  if (b.head->large_buffers_size == 0) return InvalidForm(d, d.args[1], "it is above 0");
  return {};
}

using H = HeadSettings;

constexpr std::array kRows = std::to_array<Row>({
    {"http", kMain, kNoArgs, kBlock, Http, "", "everything about HTTP"},
    {"server", kHttp, kNoArgs, kBlock | kMany, Server, "", "a virtual server"},
    {"listen", kServer, AtLeast(1), kMany, Listen, "*:80",
     "ADDRESS[:PORT] | PORT | unix:PATH [default_server] [ssl] [http2] [proxy_protocol] [backlog=] "
     "[rcvbuf=] [sndbuf=] [fastopen=] "
     "[deferred] [reuseport] [ipv6only=] [so_keepalive=] [multipath] "
     "[bind]"},
    {"server_name", kServer, AtLeast(1), kMany, ServerNames, "\"\"",
     "names of the server: exact, *.wildcard, wildcard.*, .both, ~regular expression"},
    {"client_header_buffer_size", kHttp | kServer, kOneArg, kOnce,
     Setting<Size, &H::client_header_buffer_size>, "1k", "first buffer for a request head"},
    {"large_client_header_buffers", kHttp | kServer, Takes(2), kOnce, LargeBuffers, "4 8k",
     "COUNT SIZE: further buffers; a longer line is refused with 414 or 400"},
    {"client_header_timeout", kHttp | kServer, kOneArg, kOnce,
     Setting<Duration, &H::client_header_timeout>, "60s", "time allowed for a whole request head"},
    {"max_headers", kHttp | kServer, kOneArg, kOnce, Setting<Number<>, &H::max_headers>, "1000",
     "header fields allowed in a request"},
    {"ignore_invalid_headers", kHttp | kServer, kOneArg, kOnce,
     Setting<Flag, &H::ignore_invalid_headers>, "on",
     "drop header fields with odd names, instead of passing them on"},
    {"underscores_in_headers", kHttp | kServer, kOneArg, kOnce,
     Setting<Flag, &H::underscores_in_headers>, "off",
     "whether an underscore is allowed in a header name"},
    {"merge_slashes", kHttp | kServer, kOneArg, kOnce, Setting<Flag, &H::merge_slashes>, "on",
     "treat several slashes in a path as one"},
    {"connection_pool_size", kHttp | kServer, kOneArg, kInert, Checked<Size, size_t>, "512",
     "accepted; memory is not pooled by connection"},
    {"request_pool_size", kHttp | kServer, kOneArg, kInert, Checked<Size, size_t>, "4k",
     "accepted; memory for a request's strings comes in blocks that are shared"},
    {"server_names_hash_bucket_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
    {"server_names_hash_max_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "512",
     "accepted; hashes grow by themselves"},
    {"variables_hash_bucket_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
    {"variables_hash_max_size", kHttp, kOneArg, kInert, Checked<Number<>, int>, "1024",
     "accepted; hashes grow by themselves"},
});

}  // namespace

constinit const std::span<const Row> kServerDirectives = kRows;

}  // namespace limpet::conf
