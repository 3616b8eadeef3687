// root, alias, index, try_files, types: responses from files.
#include <array>

#include "conf/loader.h"
#include "conf/mime_types.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

using R = ResponseSettings;

// Root and alias exclude each other in a block.
Status Once(Block& b, const Directive& d) {
  R& response = b.location->response;
  if (b.First(&response.root)) return {};
  return InvalidArgument(
      fmt::format("\"{}\" directive is duplicate, \"{}\" directive was specified earlier", d.name,
                  d.name == "root" ? "alias" : "root"));
}

Result<Template> FilePath(Block& b, const Directive& d, std::string text) {
  for (const std::string_view name : {"document_root", "realpath_root"}) {
    if (text.find(fmt::format("${}", name)) == std::string::npos &&
        text.find(fmt::format("${{{}}}", name)) == std::string::npos) {
      continue;
    }
    return InvalidArgument(
        fmt::format("the ${} variable cannot be used in the \"{}\" directive", name, d.name));
  }
  return CompileTemplate(b, d, text.starts_with('$') ? text : b.loader.FromPrefix(text));
}

Status Root(Block& b, const Directive& d) {
  if (Status s = Once(b, d); !s) return s;
  std::string path = d.args[0];
  if (path.ends_with('/')) path.pop_back();
  // "/" alone has become "", which is the file system's root once a URI is appended
  Result<Template> root = d.args[0] == "/" ? Template::Literal("") : FilePath(b, d, path);
  if (!root) return root.error();
  b.location->response.root = std::move(*root);
  b.location->response.alias.reset();
  return {};
}

Status Alias(Block& b, const Directive& d) {
  if (Status s = Once(b, d); !s) return s;
  if (b.location->kind == LocationKind::kNamed) {
    return InvalidArgument("the \"alias\" directive cannot be used inside the named location");
  }
  Result<Template> alias = FilePath(b, d, d.args[0]);
  if (!alias) return alias.error();
  WarnOfSlashes(b, d, d.args[0]);
  R& response = b.location->response;
  response.alias = std::move(*alias);
  response.alias_prefix =
      b.location->kind == LocationKind::kRegex ? SIZE_MAX : b.location->name.size();
  return {};
}

Status Index(Block& b, const Directive& d) {
  auto& index = b.location->response.index;
  if (b.First(&index)) index.clear();
  for (size_t i = 0; i < d.args.size(); ++i) {
    if (d.args[i].empty())
      return InvalidArgument(
          fmt::format("index \"{}\" in \"index\" directive is invalid", d.args[i]));
    if (d.args[i].starts_with('/') && i + 1 < d.args.size()) {
      b.loader.Warn(d, "only the last index in \"index\" directive should be absolute");
    }
    if (Status s = Strings{}(b, d, d.args[i], index.emplace_back()); !s) return s;
  }
  return {};
}

Status TryFilesRow(Block& b, const Directive& d) {
  TryFiles files;
  const std::string& last = d.args.back();
  for (size_t i = 0; i + 1 < d.args.size(); ++i) {
    TryFiles::Candidate& candidate = files.candidates.emplace_back();
    std::string text = d.args[i];
    candidate.is_directory = text.ends_with('/');
    if (candidate.is_directory) text.pop_back();
    if (Status s = Strings{}(b, d, text, candidate.path); !s) return s;
  }
  if (last.starts_with('=')) {
    const auto code = ParseDecimal(std::string_view(last).substr(1));
    if (!code || *code > 999)
      return InvalidArgument(fmt::format("invalid code \"{}\": it is =0 to =999", last));
    files.fallback_code = static_cast<int>(*code);
  } else if (Status s = Strings{}(b, d, last, files.fallback); !s) {
    return s;
  }
  b.location->response.try_files = std::move(files);
  return {};
}

Status EmptyGif(Block& b, const Directive&) {
  b.location->response.empty_gif = true;
  return {};
}

constexpr std::array kSymlinks = std::to_array<Choice<bool>>({{"off", false}});

constexpr std::array kModifiedSince = std::to_array<Choice<R::IfModifiedSince>>({
    {"off", R::IfModifiedSince::kOff},
    {"exact", R::IfModifiedSince::kExact},
    {"before", R::IfModifiedSince::kBefore},
});

constexpr std::array kIndexFormats = std::to_array<Choice<AutoIndex::Format>>({
    {"html", AutoIndex::Format::kHtml},
    {"xml", AutoIndex::Format::kXml},
    {"json", AutoIndex::Format::kJson},
    {"jsonp", AutoIndex::Format::kJsonp},
});

// open_file_cache: checked, although files are opened each time.
Status OpenFileCache(Block& b, const Directive& d) {
  bool has_max = false, is_off = false;
  for (const std::string& word : d.args) {
    Ms inactive;
    bool good = false;
    if (const auto max = After(word, "max=")) {
      const auto n = ParseDecimal(*max);
      good = has_max = n && *n > 0;
    } else if (const auto time = After(word, "inactive=")) {
      good = static_cast<bool>(Seconds{}(b, d, *time, inactive));
    } else if (word == "off") {
      good = is_off = true;
    }
    if (!good)
      return InvalidArgument(
          fmt::format("invalid \"open_file_cache\" parameter \"{}\": it is off, max=N with N above "
                      "0, or inactive=TIME",
                      word));
  }
  if (has_max || is_off) return {};
  return InvalidArgument("\"open_file_cache\" must have the \"max\" parameter");
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr uint32_t kHereOrIf = kHttpServerLocation | kLocationIf;

constexpr std::array kRows = std::to_array<Row>({
    {"root", kHereOrIf, kOneArg, kOnce, Root, "html", "folder to which the path is appended"},
    {"alias", kLocation, kOneArg, kOnce, Alias, "",
     "folder or file that stands for the location's part of the path"},
    {"index", kHere, AtLeast(1), kMany, Index, "index.html", "files that answer for a folder"},
    {"autoindex", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::response, &R::auto_index, &AutoIndex::on>, "off",
     "a folder without an index file shows what is in it"},
    {"autoindex_exact_size", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::response, &R::auto_index, &AutoIndex::exact_size>, "on",
     "sizes in bytes, not in kilobytes (HTML)"},
    {"autoindex_format", kHere, kOneArg, kOnce,
     Setting<OneOf<kIndexFormats>, &Location::response, &R::auto_index, &AutoIndex::format>, "html",
     "html | xml | json | jsonp"},
    {"autoindex_localtime", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::response, &R::auto_index, &AutoIndex::local_time>, "off",
     "times in the local zone, not GMT (HTML)"},
    {"try_files", kServer | kLocation, AtLeast(2), kOnce, TryFilesRow, "",
     "FILE … URI | @NAME | =CODE: the first that is there, or the last"},
    {"types", kHere, kNoArgs, kBlock | kMany | kEarly, TypesBlock,
     "text/html html; image/gif gif; image/jpeg jpg", "{ TYPE EXTENSION …; }"},
    {"default_type", kHere, kOneArg, kOnce, Setting<Text, &Location::response, &R::default_type>,
     "text/plain", "type of all other files"},
    {"types_hash_max_size", kHere, kOneArg, kInert, Checked<Number<>, int>, "1024",
     "accepted; hashes grow by themselves"},
    {"types_hash_bucket_size", kHere, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
    {"sendfile", kHereOrIf, kOneArg, kOnce, Setting<Flag, &Location::response, &R::sendfile>, "off",
     "the kernel copies files to the socket"},
    {"sendfile_max_chunk", kHere, kOneArg, kInert, Checked<Size, size_t>, "2m",
     "accepted; a worker never sends long at once"},
    {"if_modified_since", kHere, kOneArg, kOnce,
     Setting<OneOf<kModifiedSince>, &Location::response, &R::if_modified_since>, "exact",
     "off | exact | before: how If-Modified-Since is compared"},
    {"max_ranges", kHere, kOneArg, kOnce, Setting<Number<>, &Location::response, &R::max_ranges>,
     "", "byte ranges allowed in a request; 0: none"},
    {"msie_padding", kHere, kOneArg, kOnce, Setting<Flag, &Location::response, &R::msie_padding>,
     "on", "pads error pages for old browsers"},
    {"empty_gif", kLocation, kNoArgs, kMany, EmptyGif, "", "one transparent pixel"},
    {"directio", kHere, kOneArg, kInert, Accepted, "off", "accepted; the kernel decides"},
    {"directio_alignment", kHere, kOneArg, kInert, Checked<Offset, size_t>, "512",
     "accepted; the kernel decides"},
    {"aio", kHere, kOneArg, kInert, Accepted, "off", "accepted; files are sent by the kernel"},
    {"aio_write", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; files are written as their bytes come"},
    {"open_file_cache", kHere, Takes(1, 2), kInert, OpenFileCache, "off",
     "accepted; files are opened each time"},
    {"open_file_cache_valid", kHere, kOneArg, kInert, Checked<Duration, Ms>, "60s",
     "accepted; files are opened each time"},
    {"open_file_cache_min_uses", kHere, kOneArg, kInert, Checked<Number<>, int>, "1",
     "accepted; files are opened each time"},
    {"open_file_cache_errors", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; files are opened each time"},
    {"open_file_cache_events", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; files are opened each time"},
    {"disable_symlinks", kHere, Takes(1, 2), kOnce, Checked<OneOf<kSymlinks, false>, bool>, "off",
     "off"},
    {"msie_refresh", kHere, kOneArg, kInert, Checked<Flag, bool>, "off",
     "accepted; browsers follow redirects"},
    {"read_ahead", kHere, kOneArg, kInert, Checked<Size, size_t>, "0",
     "accepted; the kernel decides"},
});

}  // namespace

constinit const std::span<const Row> kStaticDirectives = kRows;

}  // namespace limpet::conf
