// geoip2, geoip2_proxy, geoip2_proxy_recursive: as those of nginx's public geoip2 module.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

constexpr std::string_view kMetadata = "metadata";

constexpr std::array kMetadataNames = std::to_array<Choice<GeoField::Kind>>({
    {"build_epoch", GeoField::Kind::kBuildEpoch},
    {"last_check", GeoField::Kind::kLastCheck},
    {"last_change", GeoField::Kind::kLastChange},
});

Status MetadataField(const Directive& d, GeoField* field) {
  if (d.args.size() == 2) {
    for (const auto& choice : kMetadataNames) {
      if (choice.name != d.args[1]) continue;
      field->kind = choice.value;
      return {};
    }
  }
  return InvalidArgument(
      fmt::format("\"{} metadata\" takes one of build_epoch, last_check, last_change", d.name));
}

// default=… and source=…, in front of the path. False: it is none.
Result<bool> Option(Block& b, const Directive& d, const std::string& word, GeoField* field) {
  if (const auto text = After(word, "default=")) {
    if (!field->fallback.empty() || text->empty())
      return InvalidParameter(word, "one default that is not empty");
    field->fallback = *text;
    return true;
  }
  if (const auto text = After(word, "source=")) {
    if (field->source || !text->starts_with('$'))
      return InvalidParameter(word, "one variable that holds an address, source=$NAME");
    if (Status s = Strings{}(b, d, std::string(*text), field->source); !s) return s.error();
    return true;
  }
  return false;
}

Status RecordField(Block& b, const Directive& d, GeoField* field) {
  for (const std::string& word : d.args) {
    if (field->path.empty() && word.find('=') != std::string::npos) {
      const Result<bool> option = Option(b, d, word, field);
      if (!option) return option.error();
      if (!*option) return InvalidParameter(word, "default=TEXT and source=$NAME, then the path");
      continue;
    }
    field->path.push_back(word);
  }
  if (field->path.empty())
    return InvalidArgument(fmt::format("\"{}\" has no path, such as \"country iso_code\"", d.name));
  return {};
}

Status AddField(Block& b, const Directive& d, size_t database) {
  GeoField field{.database = database};
  const bool metadata = !d.args.empty() && d.args[0] == kMetadata;
  if (Status s = metadata ? MetadataField(d, &field) : RecordField(b, d, &field); !s) return s;
  const size_t index = b.http->geo.fields.size();
  const auto id = b.http->variables.DefineDerived(
      d.name.substr(1), std::make_shared<LookedUpVariable>(Lookup::kGeo, index), Where(d), false);
  if (!id) return id.error();
  b.http->geo.fields.push_back(std::move(field));
  return {};
}

Status AddEntry(Block& b, const Directive& d, size_t database) {
  if (d.name.size() > 1 && d.name[0] == '$') return AddField(b, d, database);
  if (d.name != "auto_reload")
    return InvalidArgument(fmt::format(
        "unknown \"{}\" in geoip2: it holds \"$NAME …;\" and \"auto_reload TIME;\"", d.name));
  if (d.args.size() != 1) return InvalidArgument("invalid number of arguments in \"auto_reload\"");
  return Seconds{}(b, d, d.args[0], b.http->geo.databases[database].auto_reload);
}

Status Database(Block& b, const Directive& d) {
  std::vector<GeoDatabase>& databases = b.http->geo.databases;
  GeoDatabase database;
  if (d.args[0].empty()) return At(d, "\"geoip2\" has an empty file name");
  if (Status s = PrefixPath{}(b, d, d.args[0], database.path); !s) return At(d, s.error().message);
  for (const GeoDatabase& other : databases) {
    if (other.path == database.path)
      return At(d, fmt::format("duplicate geoip2 database \"{}\"", database.path));
  }
  databases.push_back(std::move(database));
  for (const Directive& entry : d.block) {
    if (entry.has_block) return NestedBlockHere(entry);
    if (Status s = AddEntry(b, entry, databases.size() - 1); !s)
      return At(entry, s.error().message);
  }
  return {};
}

Status Proxy(Block& b, const Directive& d) {
  bool host_bits = false;
  const Result<Cidr> network = Cidr::Parse(d.args[0], &host_bits);
  if (!network)
    return InvalidArgument(
        fmt::format("invalid network \"{}\": it is 10.0.0.0/8 or an address", d.args[0]));
  if (host_bits) b.loader.Warn(d, fmt::format("low address bits of {} are meaningless", d.args[0]));
  b.http->geo.proxies.from.push_back(*network);
  return {};
}

Status Recursive(Block& b, const Directive& d) {
  return Flag{}(b, d, d.args[0], b.http->geo.proxies.recursive);
}

constexpr std::array kRows = std::to_array<Row>({
    {"geoip2", kHttp, kOneArg, kBlock | kMany | kEarly, Database, "",
     "FILE { $NAME [default=TEXT] [source=$V] PATH …; $NAME metadata build_epoch | last_check | "
     "last_change; auto_reload TIME; }: variables from a MaxMind DB file; one that is replaced is "
     "read again after auto_reload (the worker's user must be able to read it), one that is "
     "damaged is not"},
    {"geoip2_proxy", kHttp, kOneArg, kMany, Proxy, "",
     "NETWORK | ADDRESS: a proxy whose X-Forwarded-For tells the address that geoip2 looks up"},
    {"geoip2_proxy_recursive", kHttp, kOneArg, kOnce, Recursive, "off",
     "look behind several proxies that are believed"},
});

}  // namespace

constinit const std::span<const Row> kGeoip2Directives = kRows;

}  // namespace limpet::conf
