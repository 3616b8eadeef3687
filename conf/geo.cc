#include "conf/geo.h"

#include <fmt/core.h>

#include <cstring>
#include <optional>

#include "conf/geo_tables.h"
#include "conf/loader.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

// What stands for "no address": it finds only the default, or what is given for exactly it.
SocketAddress NoAddress() { return *SocketAddress::ParseIp("255.255.255.255", 0); }

// Of the variable that is looked up: "1.2.3.4", "::1".
std::optional<SocketAddress> ParseBare(std::string_view text) {
  const auto ip = SocketAddress::ParseIp(text, 0);
  return ip && !text.starts_with('[') ? std::optional(*ip) : std::nullopt;
}

// Of X-Forwarded-For: with a port, too, "1.2.3.4:80", "[::1]:80".
std::optional<SocketAddress> ParseAddress(std::string_view text) {
  if (const auto ip = SocketAddress::ParseIp(text, 0)) return *ip;
  if (text.starts_with("unix:")) return std::nullopt;
  if (const auto with_port = SocketAddress::Parse(text, 0)) return *with_port;
  return std::nullopt;
}

// ::ffff:1.2.3.4 counts as 1.2.3.4.
SocketAddress Unmapped(const SocketAddress& address) {
  const std::string_view ip = address.ip_bytes();
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (address.family() != AF_INET6 || !ip.starts_with(kMapped)) return address;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  std::memcpy(&v4.sin_addr, ip.data() + kMapped.size(), sizeof v4.sin_addr);
  return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
}

class Geo final : public DerivedVariable {
 public:
  Value Evaluate(VariableReader& reader) const override {
    const SocketAddress address = Unmapped(Address(reader));
    const std::string* value = nullptr;
    if (!is_ranges) {
      value = networks.Find(address);
    } else if (address.family() == AF_INET) {
      const uint32_t ip =
          ntohl(reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr.s_addr);
      value = ranges.Find(ip);
    }
    if (!value && fallback) value = &*fallback;
    return value ? Value::Of(*value) : Value::Of("");
  }

  VariableId source = 0;
  VariableId forwarded_for = 0;
  bool is_ranges = false;
  bool recursive = false;
  bool is_volatile = false;
  std::vector<Cidr> proxies;
  NetworkTable networks;
  RangeTable ranges;
  std::optional<std::string> fallback;

 private:
  bool IsProxy(const SocketAddress& address) const {
    for (const Cidr& proxy : proxies) {
      if (proxy.Contains(address)) return true;
    }
    return false;
  }

  // The client's address; if that is a known proxy, what the proxy says in X-Forwarded-For.
  SocketAddress Address(VariableReader& reader) const {
    SocketAddress address = ParseBare(reader.Get(source).text).value_or(NoAddress());
    if (proxies.empty() || !IsProxy(address)) return address;
    std::string_view list = reader.Get(forwarded_for).text;
    for (;;) {
      const size_t end = list.find_last_not_of(" ,");
      if (end == std::string_view::npos) return address;
      list = list.substr(0, end + 1);
      const size_t comma = list.find_last_of(" ,");
      const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
      const auto next = ParseAddress(list.substr(begin));
      if (!next) return address;
      address = *next;
      if (!recursive || begin == 0 || !IsProxy(address)) return address;
      list = list.substr(0, begin);
    }
  }
};

Result<Cidr> Network(Block& b, const Directive& entry, const std::string& text) {
  bool host_bits = false;
  Result<Cidr> cidr = Cidr::Parse(text, &host_bits);
  if (!cidr) return InvalidArgument(fmt::format("invalid network \"{}\"", text));
  if (host_bits) b.loader.Warn(entry, fmt::format("low address bits of {} are meaningless", text));
  return cidr;
}

Status AddNetwork(Block& b, const Directive& entry, Geo* geo) {
  if (entry.name == "default") {
    if (geo->fallback) b.loader.Warn(entry, "duplicate network \"default\"");
    geo->fallback = entry.args[0];
    return {};
  }
  const bool is_delete = entry.name == "delete";
  const std::string& text = is_delete ? entry.args[0] : entry.name;
  const Result<Cidr> network = Network(b, entry, text);
  if (!network) return network.error();
  if (is_delete) {
    if (!geo->networks.Delete(*network))
      b.loader.Warn(entry, fmt::format("no network \"{}\" to delete", text));
  } else if (!geo->networks.Add(*network, entry.args[0])) {
    b.loader.Warn(entry,
                  fmt::format("duplicate network \"{}\", value: \"{}\"", text, entry.args[0]));
  }
  return {};
}

std::optional<uint32_t> V4(std::string_view text) {
  const auto address = SocketAddress::ParseIp(text, 0);
  if (!address || address->family() != AF_INET) return std::nullopt;
  return ntohl(reinterpret_cast<const sockaddr_in*>(address->get())->sin_addr.s_addr);
}

Status AddRange(Block& b, const Directive& entry, Geo* geo) {
  if (entry.name == "default") {
    if (geo->fallback)
      b.loader.Warn(entry, fmt::format("duplicate default geo range value: \"{}\"", entry.args[0]));
    geo->fallback = entry.args[0];
    return {};
  }
  const bool is_delete = entry.name == "delete";
  const std::string& text = is_delete ? entry.args[0] : entry.name;
  const size_t dash = text.find('-');
  const auto first = V4(text.substr(0, dash));
  const auto last = dash == std::string::npos ? std::nullopt : V4(text.substr(dash + 1));
  if (!first || !last || *first > *last)
    return InvalidArgument(fmt::format("invalid range \"{}\"", text));
  if (is_delete) {
    if (!geo->ranges.Delete(*first, *last))
      b.loader.Warn(entry, fmt::format("no address range \"{}\" to delete", text));
    return {};
  }
  switch (geo->ranges.Add(*first, *last, entry.args[0])) {
    case RangeTable::Added::kNew:
      break;
    case RangeTable::Added::kReplaced:
      b.loader.Warn(entry,
                    fmt::format("duplicate range \"{}\", value: \"{}\"", text, entry.args[0]));
      break;
    case RangeTable::Added::kOverlaps:
      return InvalidArgument(fmt::format("range \"{}\" overlaps another", text));
  }
  return {};
}

// A word alone. `ranges` decides how all the entries are read.
bool Switch(const Directive& entry, Geo* geo) {
  if (!entry.args.empty()) return false;
  if (entry.name == "ranges") return geo->is_ranges = true;
  if (entry.name == "proxy_recursive") return geo->recursive = true;
  if (entry.name == "volatile") return geo->is_volatile = true;
  return false;
}

Status AddEntry(Block& b, const Directive& entry, bool is_first, Geo* geo) {
  if (entry.name == "ranges" && entry.args.empty() && !is_first && !geo->is_ranges) {
    return InvalidArgument(
        "the \"ranges\" directive must be the first directive inside \"geo\" block");
  }
  if (Switch(entry, geo)) return {};
  if (entry.args.size() != 1) return InvalidArgument("invalid number of the geo parameters");
  if (entry.name == "proxy") {
    Result<Cidr> proxy = Network(b, entry, entry.args[0]);
    if (!proxy) return proxy.error();
    geo->proxies.push_back(*proxy);
    return {};
  }
  return geo->is_ranges ? AddRange(b, entry, geo) : AddNetwork(b, entry, geo);
}

}  // namespace

Status GeoBlock(Block& b, const Directive& d) {
  for (const std::string& name : d.args) {
    if (!name.starts_with('$')) return At(d, fmt::format("invalid variable name \"{}\"", name));
  }
  auto geo = std::make_shared<Geo>();
  VariableTable& variables = b.http->variables;
  geo->source =
      variables.Mention(d.args.size() == 2 ? d.args[0].substr(1) : "remote_addr", Where(d));
  geo->forwarded_for = variables.Mention("http_x_forwarded_for", Where(d));
  bool any_network = false;
  for (const Directive& entry : d.block) {
    if (entry.has_block) return NestedBlockHere(entry);
    if (Status s = AddEntry(b, entry, !any_network, geo.get()); !s)
      return At(entry, s.error().message);
    any_network |= entry.args.size() == 1 && entry.name != "proxy";
  }
  const bool is_volatile = geo->is_volatile;
  const auto id =
      variables.DefineDerived(d.args.back().substr(1), std::move(geo), Where(d), is_volatile);
  if (!id) return At(d, id.error().message);
  return {};
}

}  // namespace limpet::conf
