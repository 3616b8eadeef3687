#include "worker/http/route/server_names.h"

#include <algorithm>

#include "conf/taken_names.h"
#include "proto/target.h"

namespace limpet::worker {

bool IsName(const conf::ServerName& name, std::string_view host) {
  using Kind = conf::ServerName::Kind;
  switch (name.kind) {
    case Kind::kExact:
      return host == name.text;
    case Kind::kDotted:
      return host == name.text || host.ends_with("." + name.text);
    case Kind::kWildcardHead:
      return host.ends_with("." + name.text);
    case Kind::kWildcardTail:
      return host.starts_with(name.text + ".");
    case Kind::kRegex:
      return name.regex->Match(host, nullptr).yes();
    case Kind::kNone:
      break;
  }
  return false;
}

bool IsNameOf(const conf::Server& server, std::string_view host) {
  return std::any_of(server.names.begin(), server.names.end(),
                     [host](const conf::ServerName& name) { return IsName(name, host); });
}

namespace {

void TakeFieldRules(const conf::HeadSettings& settings, proto::HeadLimits* limits) {
  limits->max_headers = static_cast<size_t>(settings.max_headers);
  limits->ignore_invalid_headers = settings.ignore_invalid_headers;
  limits->underscores_in_headers = settings.underscores_in_headers;
}

bool SameFieldRules(const conf::HeadSettings& a, const conf::HeadSettings& b) {
  return a.max_headers == b.max_headers && a.ignore_invalid_headers == b.ignore_invalid_headers &&
         a.underscores_in_headers == b.underscores_in_headers;
}

}  // namespace

ServerNames::ServerNames(const conf::ListenGroup& group) : group_(group) {
  const conf::HeadSettings& own = group.default_server->head;
  head_limits_.max_line = head_limits_.max_total = 0;
  TakeFieldRules(own, &head_limits_);
  for (const conf::Server* server : group.servers) {
    const auto headers = static_cast<size_t>(server->head.max_headers);
    head_limits_.max_headers = std::max(head_limits_.max_headers, headers);
    fields_differ_ |= !SameFieldRules(server->head, own);
    const size_t line =
        std::max(server->head.large_buffers_size, server->head.client_header_buffer_size);
    const size_t total = line * static_cast<size_t>(server->head.large_buffers_count) +
                         server->head.client_header_buffer_size;
    head_limits_.max_line = std::max(head_limits_.max_line, line);
    head_limits_.max_total = std::max(head_limits_.max_total, total);
  }
  conf::TakenNames taken;
  for (const conf::Server* server : group.servers) {
    if (server->names.empty()) Add(conf::kNameless, server, &taken);
    for (const conf::ServerName& name : server->names) Add(name, server, &taken);
  }
  only_default_ = group.servers.size() == 1 && regexes_.empty();
}

void ServerNames::Add(const conf::ServerName& name, const conf::Server* server,
                      conf::TakenNames* taken) {
  if (!taken->Take(name)) return;
  using Kind = conf::ServerName::Kind;
  switch (name.kind) {
    case Kind::kExact:
      exact_.emplace(name.text, server);
      break;
    case Kind::kDotted:  // .example.com is both example.com and *.example.com
      exact_.emplace(name.text, server);
      head_.emplace("." + name.text, server);
      break;
    case Kind::kWildcardHead:
      head_.emplace("." + name.text, server);
      break;
    case Kind::kWildcardTail:
      tail_.emplace(name.text + ".", server);
      break;
    case Kind::kRegex:
      regexes_.emplace_back(&name, server);
      break;
    case Kind::kNone:
      break;
  }
}

proto::HeadLimits ServerNames::LimitsOf(const conf::Server& server) const {
  proto::HeadLimits limits = head_limits_;
  TakeFieldRules(server.head, &limits);
  return limits;
}

const conf::Server* ServerNames::FindWildcard(std::string_view host) const {
  if (!head_.empty()) {
    for (size_t dot = host.find('.'); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      if (dot == 0) continue;
      if (const auto it = head_.find(host.substr(dot)); it != head_.end()) return it->second;
    }
  }
  if (!tail_.empty()) {
    for (size_t dot = host.rfind('.'); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1)) {
      if (dot + 1 == host.size()) continue;
      if (const auto it = tail_.find(host.substr(0, dot + 1)); it != tail_.end()) return it->second;
    }
  }
  return nullptr;
}

ServerNames::Match ServerNames::FindForTls(std::string_view name) const {
  std::string storage;
  proto::HostAndPort host;
  if (name.empty() || !proto::ValidateHost(name, &storage, &host))
    return {group_.default_server, false};
  conf::Captures unused;
  return Find(host.host, &unused);
}

const conf::Server& ServerNames::OfHost(std::string_view field, const conf::Server& first) const {
  std::string storage;
  proto::HostAndPort host;
  if (field.empty() || !proto::ValidateHost(field, &storage, &host)) return first;
  conf::Captures unused;
  return *Find(host.host, &unused).server;
}

// The authority of an absolute target wins over Host (RFC 9112 3.2.2).
const conf::Server& ServerNames::OfHead(const proto::RequestHead& head,
                                        const conf::Server& first) const {
  std::string storage;
  proto::Target target;
  const bool plain = head.target.starts_with('/');
  if (!plain && proto::ParseTarget(head.target, head.method, false, &storage, &target) &&
      target.form == proto::TargetForm::kAbsolute)
    return OfHost(target.authority, first);
  const proto::Header* const host = head.headers.Find(proto::HeaderId::kHost);
  return host != nullptr ? OfHost(host->value, first) : first;
}

ServerNames::Match ServerNames::Find(std::string_view host, conf::Captures* captures) const {
  if (only_default_) return {group_.default_server, false};
  if (!host.empty() || exact_.contains("")) {
    if (const auto it = exact_.find(host); it != exact_.end()) return {it->second};
    if (const conf::Server* server = FindWildcard(host)) return {server};
  }
  if (!host.empty()) {
    for (const auto& [name, server] : regexes_) {
      const conf::MatchResult result = name->regex->Match(host, captures);
      if (result.yes()) return {server, true, name};
      if (result.failed())
        return {group_.default_server, false, nullptr, name->regex->Explain(result)};
    }
  }
  return {group_.default_server, false};
}

}  // namespace limpet::worker
