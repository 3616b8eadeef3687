// The client's real address, as a trusted proxy in front of us tells it.
#include "worker/http/access/realip.h"

#include <array>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {
namespace {

bool IsTrusted(const conf::RealIp& settings, const SocketAddress& address) {
  if (address.is_unix()) return settings.from_unix;
  for (const conf::Cidr& network : settings.from) {
    if (network.Contains(address)) return true;
  }
  return false;
}

constexpr bool IsSeparator(char c) { return c == ' ' || c == ','; }

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; without a port the port is 0.
std::optional<SocketAddress> ParseAddress(std::string_view text) {
  if (auto plain = SocketAddress::ParseIp(text, 0)) return *plain;
  const bool has_port =
      text.starts_with('[') ? text.find("]:") != text.npos : text.find(':') != text.npos;
  if (!has_port) return std::nullopt;
  auto with_port = SocketAddress::Parse(text, 0);
  if (!with_port || with_port->is_unix()) return std::nullopt;
  return *with_port;
}

enum class Walk : uint8_t { kNothing, kAll, kStopped };

// Goes from the end of one field value towards its start.
Walk WalkValue(const conf::RealIp& settings, std::string_view value, SocketAddress* address) {
  bool moved = false;
  do {
    if (!IsTrusted(settings, *address)) return moved ? Walk::kStopped : Walk::kNothing;
    while (value.size() > 1 && IsSeparator(value.back())) value.remove_suffix(1);
    const size_t separator = value.find_last_of(" ,");
    const size_t start = separator == value.npos ? 0 : separator + 1;
    const auto next = ParseAddress(value.substr(start));
    if (!next) return moved ? Walk::kStopped : Walk::kNothing;
    *address = *next;
    moved = true;
    value = value.substr(0, start > 0 ? start - 1 : 0);
  } while (settings.recursive && !value.empty());
  return Walk::kAll;
}

}  // namespace

std::optional<SocketAddress> ForwardedAddress(const conf::RealIp& settings,
                                              const SocketAddress& peer,
                                              std::span<const std::string_view> values) {
  SocketAddress address = peer;
  bool moved = false;
  for (size_t i = values.size(); i-- > 0;) {
    const Walk walk = WalkValue(settings, values[i], &address);
    moved |= walk != Walk::kNothing;
    if (walk != Walk::kAll || !settings.recursive) break;
  }
  return moved ? std::optional(address) : std::nullopt;
}

std::optional<SocketAddress> ForwardedFor(const proto::HeaderList& fields,
                                          const conf::RealIp& settings, const SocketAddress& peer) {
  std::array<std::string_view, 32> values;  // more lines than any chain of proxies writes
  size_t count = 0;
  for (const proto::Header& field : fields) {
    if (field.id != proto::HeaderId::kXForwardedFor) continue;
    if (count == values.size()) return std::nullopt;
    values[count++] = field.value;
  }
  return ForwardedAddress(settings, peer, {values.data(), count});
}

namespace {

std::optional<SocketAddress> FromFields(Exchange& exchange, const conf::RealIp& settings) {
  const proto::HeaderList& fields = exchange.request().headers();
  const SocketAddress& peer = exchange.client().remote;
  using Source = conf::RealIp::Source;
  if (settings.source != Source::kXForwardedFor) {
    const proto::Header* const field = settings.source == Source::kXRealIp
                                           ? fields.Find(proto::HeaderId::kXRealIp)
                                           : fields.Find(settings.header);
    if (field == nullptr) return std::nullopt;
    return ForwardedAddress(settings, peer, {&field->value, 1});
  }
  return ForwardedFor(fields, settings, peer);
}

std::optional<SocketAddress> FromProxyProtocol(const ClientInfo& client,
                                               const conf::RealIp& settings) {
  if (client.proxy_info == nullptr) return std::nullopt;
  const std::string_view source = client.proxy_info->source;
  auto address = ForwardedAddress(settings, client.remote, {&source, 1});
  if (address) address->set_port(client.proxy_info->source_port);
  return address;
}

}  // namespace

Step RealIpStep(Exchange& exchange) {
  const conf::RealIp& settings = exchange.location().access.real_ip;
  Request& request = exchange.request();
  if (request.remote != &exchange.client().remote) return Step::kNext;
  const auto address = settings.source == conf::RealIp::Source::kProxyProtocol
                           ? FromProxyProtocol(exchange.client(), settings)
                           : FromFields(exchange, settings);
  if (!address) return Step::kNext;
  request.remote = exchange.arena().New(*address);
  request.remote_host = exchange.arena().Copy(address->HostString());
  return Step::kNext;
}

}  // namespace limpet::worker
