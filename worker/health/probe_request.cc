#include "worker/health/probe_request.h"

#include <fmt/core.h>

#include <deque>
#include <memory>
#include <string_view>

#include "proto/escape.h"
#include "proto/headers.h"

namespace limpet::worker {
namespace {

class ProbeVariables final : public conf::VariableReader {
 public:
  ProbeVariables(const conf::ProxyPass& pass, const conf::VariableTable& variables, const Log& log)
      : pass_(pass), variables_(variables), log_(log) {}

  conf::Value Get(conf::VariableId id) override {
    const conf::Variable& variable = variables_[id];
    if (variable.kind == conf::VariableKind::kDerived) return Derive(variable);
    if (variable.kind != conf::VariableKind::kBuiltin) return conf::Value::None();
    if (variable.builtin == conf::Builtin::kProxyHost) return conf::Value::Of(pass_.host_header);
    if (variable.builtin == conf::Builtin::kProxyPort) return conf::Value::Of(pass_.port);
    return conf::Value::None();
  }
  conf::Captures& captures() override { return captures_; }
  void SetNamed(conf::VariableId, conf::Value) override {}
  char* Allocate(size_t size) override {
    return memory_.emplace_back(std::make_unique<char[]>(size)).get();
  }

  const std::string& failure() const { return failure_; }

 private:
  void OnMatchFailed(const std::string& why) override { failure_ = " (" + why + ")"; }
  void OnCycle(std::string_view name) override {
    LIMPET_LOG(log_, LogLevel::kError, "cycle while evaluating variable \"{}\"", name);
  }

  const conf::ProxyPass& pass_;
  const conf::VariableTable& variables_;
  const Log& log_;
  conf::Captures captures_;
  std::string failure_;
  std::deque<std::unique_ptr<char[]>> memory_;
};

// What the probe says itself, or has no use for.
bool IsOwn(proto::HeaderId id) {
  using proto::HeaderId;
  return id == HeaderId::kConnection || id == HeaderId::kContentLength ||
         id == HeaderId::kTransferEncoding || id == HeaderId::kUpgrade || id == HeaderId::kExpect;
}

}  // namespace

std::string ProbeRequest(const conf::Location& location, const conf::VariableTable& variables,
                         const Log& log, std::string* failure) {
  const conf::ProxySettings& proxy = location.proxy;
  ProbeVariables reader(proxy.pass, variables, log);
  std::string host = proxy.pass.host_header;
  std::string fields;
  for (const conf::SetHeader& header : proxy.set_headers) {
    const std::string_view value = header.value.Evaluate(reader);
    const proto::HeaderId id = proto::LookupHeader(header.name);
    if (value.empty() || IsOwn(id)) continue;
    if (id == proto::HeaderId::kHost && proto::IsFieldValue(value)) {
      host = value;
    } else if (!proto::AppendField(&fields, header.name, value)) {
      LIMPET_LOG(log, LogLevel::kError,
                 "\"{}\" is left out of health checks: its value has CR, LF or NUL", header.name);
    }
  }
  *failure = reader.failure();
  return fmt::format("GET {} HTTP/1.{}\r\nHost: {}\r\n{}Connection: close\r\n\r\n",
                     proto::EscapeUri(location.health_check->uri, proto::EscapeKind::kLine),
                     proxy.http_version >= 11 ? 1 : 0, host, fields);
}

}  // namespace limpet::worker
