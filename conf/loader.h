// Walks the tree, finds each directive's row, and applies it. One Loader per load; not kept
// afterwards.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "conf/directive.h"

namespace limpet::conf {

class Loader {
 public:
  Loader(const LoadOptions& options, Config& config);

  // Applies all directives of a block: definitions, then plain settings, then ordered ones and
  // nested blocks. So what is nested inherits from the whole of what surrounds it, wherever it
  // stands in the text.
  Status Apply(const std::vector<Directive>& directives, Block& block);

  // Relative paths are taken from the prefix, or (certificates, password files) from the folder of
  // the main file.
  std::string FromPrefix(std::string_view path) const;
  std::string FromConfDir(std::string_view path) const;

  void Warn(const Directive& directive, std::string_view message);
  void Notice(const Directive& directive, std::string_view message);
  // Errors with this file, whenever they are found, name the directive's place.
  void NoteFile(const Directive& directive, const std::string& path);

  Config& config() { return config_; }
  const LoadOptions& options() const { return options_; }
  const std::string& conf_dir() const { return conf_dir_; }

  // Upstreams by name, for proxy_pass. The port is 0 for an upstream block.
  std::unordered_map<std::string, int> upstream_blocks;
  std::unordered_map<std::string, int> implicit_upstreams;  // "host:port"

  std::unordered_map<std::string, int> log_formats;
  std::unordered_map<std::string, int> access_log_files;
  std::unordered_map<int, std::tuple<size_t, Ms, int>> log_buffers;  // of those: size, flush, gzip
  // Of `store=`, by name: where it stands first.
  std::unordered_map<std::string, std::string> mentioned_stores;
  std::unordered_set<std::string> left_out;  // names of zones and pools that nobody makes

 private:
  Status ApplyOne(const Row& row, const Directive& directive, Block& block);
  Result<const Row*> FindRow(const Directive& directive, const Block& block) const;
  Error Unknown(const Directive& directive) const;
  Error Misplaced(const Directive& directive, Context here) const;
  std::optional<int> LineWithoutSemicolon(const Directive& directive) const;
  Error AtWord(const Row& row, const Directive& directive, std::string message) const;
  void TellOfInert(const Row& row, const Directive& directive);

  LoadOptions options_;
  std::string conf_dir_;
  Config& config_;
  std::unordered_multimap<std::string_view, const Row*> rows_;
};

// An entry of a block that has no directives of its own: map, geo, types, split_clients.
Error NestedBlockHere(const Directive& directive);

// The settings of `outer` in a new location; what belongs to one location only is left behind.
std::unique_ptr<Location> Inherit(const Location& outer, LocationKind kind);

// Checks and merging once everything is read.
Status FinishHttp(Loader& loader, Http& http);
Status GroupListens(Loader& loader, Http& http);

}  // namespace limpet::conf
