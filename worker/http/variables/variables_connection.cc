// Variables that tell of the client's connection, its addresses, and what a PROXY header said.
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

namespace {

Value PortOf(Exchange& exchange, uint16_t port) {
  return port != 0 ? Formatted(exchange, "{}", port) : Value::Of("");
}

const proto::ProxyInfo* ProxyInfoOf(Exchange& exchange) {
  const ClientInfo& client = exchange.client();
  return client.proxy_info.get();
}

}  // namespace

Value GetBinaryRemoteAddr(Exchange& exchange) {
  const SocketAddress& remote = *exchange.request().remote;
  // nginx's: limits by this key hold for such clients, too.
  return Value::Of(remote.is_unix() ? std::string_view("unix:") : remote.ip_bytes());
}

Value GetRemoteAddr(Exchange& exchange) { return Value::Of(exchange.request().remote_host); }

Value GetRemotePort(Exchange& exchange) {
  return PortOf(exchange, exchange.request().remote->port());
}

Value GetRealipRemoteAddr(Exchange& exchange) { return Value::Of(exchange.client().remote_host); }

Value GetRealipRemotePort(Exchange& exchange) {
  return PortOf(exchange, exchange.client().remote.port());
}

Value GetServerAddr(Exchange& exchange) {
  const SocketAddress& local = exchange.client().local();
  return Value::Of(exchange.arena().Copy(local.is_unix() ? local.ToString() : local.HostString()));
}

Value GetServerPort(Exchange& exchange) {
  return PortOf(exchange, exchange.client().local().port());
}

Value GetConnection(Exchange& exchange) {
  return Formatted(exchange, "{}", exchange.client().number);
}

Value GetConnectionRequests(Exchange& exchange) {
  return Formatted(exchange, "{}", exchange.request().number);
}

Value GetConnectionTime(Exchange& exchange) {
  const uint64_t now = exchange.runtime().loop.NowMs();
  return SecondsOf(exchange, static_cast<int64_t>(now - exchange.client().started_ms));
}

Value GetScheme(Exchange& exchange) { return Value::Of(exchange.client().ssl ? "https" : "http"); }
Value GetHttps(Exchange& exchange) { return Value::Of(exchange.client().ssl ? "on" : ""); }

Value GetPipe(Exchange& exchange) { return Value::Of(exchange.request().pipelined ? "p" : "."); }

Value GetProxyAddXForwardedFor(Exchange& exchange) {
  const proto::HeaderList& fields = exchange.request().headers();
  if (!fields.Has(proto::HeaderId::kXForwardedFor))
    return Value::Of(exchange.request().remote_host);
  const Value before = JoinFields(exchange, fields, "x_forwarded_for", ", ");
  return Value::Of(exchange.arena().Concat(before.text, ", ", exchange.request().remote_host));
}

Value GetProxyProtocolAddr(Exchange& exchange) {
  const auto* info = ProxyInfoOf(exchange);
  return info != nullptr ? Value::Of(info->source) : Value::None();
}

Value GetProxyProtocolServerAddr(Exchange& exchange) {
  const auto* info = ProxyInfoOf(exchange);
  return info != nullptr ? Value::Of(info->destination) : Value::None();
}

Value GetProxyProtocolPort(Exchange& exchange) {
  const auto* info = ProxyInfoOf(exchange);
  return info != nullptr ? PortOf(exchange, info->source_port) : Value::None();
}

Value GetProxyProtocolServerPort(Exchange& exchange) {
  const auto* info = ProxyInfoOf(exchange);
  return info != nullptr ? PortOf(exchange, info->destination_port) : Value::None();
}

Value GetProxyProtocolTlv(Exchange& exchange, std::string_view name) {
  const auto* info = ProxyInfoOf(exchange);
  if (info == nullptr) return Value::None();
  const auto tlv = proto::FindTlv(*info, name);
  return tlv ? Value::Of(exchange.arena().Copy(*tlv)) : Value::None();
}

namespace {

template <auto kField>
Value TcpInfoOf(Exchange& exchange) {
  tcp_info info{};
  return exchange.stream().TcpInfo(&info) ? Formatted(exchange, "{}", info.*kField) : Value::None();
}

}  // namespace

Value GetTcpinfoRtt(Exchange& exchange) { return TcpInfoOf<&tcp_info::tcpi_rtt>(exchange); }
Value GetTcpinfoRttvar(Exchange& exchange) { return TcpInfoOf<&tcp_info::tcpi_rttvar>(exchange); }
Value GetTcpinfoSndCwnd(Exchange& exchange) {
  return TcpInfoOf<&tcp_info::tcpi_snd_cwnd>(exchange);
}
Value GetTcpinfoRcvSpace(Exchange& exchange) {
  return TcpInfoOf<&tcp_info::tcpi_rcv_space>(exchange);
}

}  // namespace limpet::worker
