// What is added to responses and where local ones come from: headers, error pages, files,
// compression.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "conf/proxy.h"
#include "conf/rewrite.h"
#include "conf/template.h"
#include "conf/upstream.h"

namespace limpet::conf {

struct AddHeader {
  std::string name;
  Template value;
  bool always = false;
};

struct Expires {
  enum class Kind : uint8_t { kOff, kEpoch, kMax, kAccess, kModified, kDaily, kUnset };
  Kind kind = Kind::kOff;
  int64_t seconds = 0;
  Template variable;  // if not empty, its value is parsed at each response
};

struct ErrorPage {
  std::vector<int> codes;
  // -1: keep the code; 0: take that of the page (`=`); else the new one (`=200`).
  int overwrite = -1;
  Template uri;  // a path, a URL, or @name
};

struct TryFiles {
  struct Candidate {
    Template path;
    bool is_directory = false;  // written with a trailing slash
  };
  std::vector<Candidate> candidates;
  Template fallback;      // a URI or @name
  int fallback_code = 0;  // =404
};

using MimeTypes =
    std::unordered_map<std::string, std::string, HashText, std::equal_to<>>;  // extension -> type

struct GzipSettings {
  bool on = false;
  int level = 1;
  int64_t min_length = 20;
  int http_version = 11;
  bool vary = false;
  uint32_t proxied = 0;  // GzipProxied bits
  std::vector<std::string> types = {"text/html"};
  bool any_type = false;
  std::vector<std::shared_ptr<const Regex>> disabled_for;  // gzip_disable: of User-Agent
  bool disabled_for_msie6 = false;
  enum class FromFiles : uint8_t {
    kOff,
    kOn,
    kAlways
  } from_files = FromFiles::kOff;  // gzip_static
};
enum GzipProxied : uint32_t {
  kGzipProxiedOff = 1u << 0,
  kGzipProxiedExpired = 1u << 1,
  kGzipProxiedNoCache = 1u << 2,
  kGzipProxiedNoStore = 1u << 3,
  kGzipProxiedPrivate = 1u << 4,
  kGzipProxiedNoLastModified = 1u << 5,
  kGzipProxiedNoEtag = 1u << 6,
  kGzipProxiedAuth = 1u << 7,
  kGzipProxiedAny = 1u << 8,
};

// charset: what Content-Type says of text that does not say it itself. Bodies are not converted.
struct CharsetSettings {
  std::optional<Template> name;  // none: off
  // source_charset: bodies are in it; none: in whatever `name` says.
  std::optional<Template> source;
  std::vector<std::string> types = {
      "text/html",          "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript",
      "application/rss+xml"};
  bool any_type = false;
};

// sub_filter: texts of a body that others stand in for.
struct SubFilterSettings {
  struct Pair {
    Template match;  // compared without regard to case
    Template replacement;
  };
  std::vector<Pair> pairs;
  bool once = true;
  bool keeps_last_modified = false;
  std::vector<std::string> types = {"text/html"};
  bool any_type = false;
};

// autoindex: what a folder without an index file shows.
struct AutoIndex {
  bool on = false;
  bool exact_size = true;   // HTML: bytes, not kilobytes
  bool local_time = false;  // HTML: not GMT
  enum class Format : uint8_t { kHtml, kXml, kJson, kJsonp } format = Format::kHtml;
};

struct ResponseSettings {
  std::vector<AddHeader> add_headers;
  std::vector<AddHeader> add_trailers;
  enum class HeaderInherit : uint8_t { kOn, kOff, kMerge };  // applied at load: the lists are final
  HeaderInherit add_header_inherit = HeaderInherit::kOn;
  HeaderInherit add_trailer_inherit = HeaderInherit::kOn;
  Expires expires;
  std::vector<ErrorPage> error_pages;
  bool recursive_error_pages = false;
  enum class Tokens : uint8_t { kOff, kOn, kBuild, kTemplate } server_tokens = Tokens::kOn;
  Template server_tokens_text;
  bool etag = true;
  bool chunked = true;  // chunked_transfer_encoding
  // What an upstream has compressed is unpacked for clients that do not take it.
  bool gunzip = false;
  GzipSettings gzip;
  CharsetSettings charset;
  SubFilterSettings sub_filter;
  std::vector<Template> early_hints;  // any that is neither empty nor 0: 103 goes to the client
  bool empty_gif = false;
  AutoIndex auto_index;
  // Files
  Template root;  // absolute, or relative to the prefix (made absolute at load if constant)
  std::optional<Template> alias;
  // Bytes of the URI that alias stands for; SIZE_MAX in a regex location: all.
  size_t alias_prefix = 0;
  std::vector<Template> index = {};  // empty: index.html
  std::optional<TryFiles> try_files;
  std::shared_ptr<const MimeTypes> types;
  std::string default_type = "text/plain";
  bool sendfile = false;
  enum class IfModifiedSince : uint8_t {
    kOff,
    kExact,
    kBefore
  } if_modified_since = IfModifiedSince::kExact;
  int max_ranges = INT32_MAX;
  bool msie_padding = true;
};

}  // namespace limpet::conf
