#include "conf/glance.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/file_text.h"
#include "conf/control_socket.h"
#include "conf/lexer.h"
#include "conf/source_files.h"

namespace limpet::conf {
namespace {

constexpr int kMostIncludes = 20;  // within each other

// The text from the line after `line` on, counted from 1.
std::string_view AfterLine(std::string_view text, int line) {
  for (; line > 0 && !text.empty(); --line) {
    const size_t end = text.find('\n');
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return text;
}

class Glancer {
 public:
  explicit Glancer(std::string conf_dir) : conf_dir_(std::move(conf_dir)) {}

  void File(const std::string& path) {
    if (includes_ == kMostIncludes) return;
    ++includes_;
    if (const auto text = ReadFile(path)) Text(*text);
    --includes_;
  }

  // What cannot be read ends with its line.
  void Text(std::string_view text) {
    int depth = 0;
    while (!text.empty()) {
      Lexer lexer(text);
      std::vector<std::string> words;
      int line = 0;  // on which the statement before ended
      for (;;) {
        line = lexer.line();
        const auto ending = lexer.Next(&words);
        if (depth == 0) Statement(words);
        if (!ending) break;
        if (*ending == Ending::kEndOfText) return;
        if (*ending == Ending::kBlockStart) ++depth;
        if (*ending == Ending::kBlockEnd) depth = std::max(depth - 1, 0);
      }
      text = AfterLine(text, line);
    }
  }

  // As written last.
  std::optional<std::string> Value(std::string_view name) const {
    const auto found = std::ranges::find(found_, name, &Found::name);
    return found == found_.end() ? std::nullopt : found->value;
  }

 private:
  struct Found {
    std::string_view name;
    std::optional<std::string> value;
  };

  // Where a `;` is missing, one statement has run into the next.
  void Statement(const std::vector<std::string>& words) {
    for (size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "include") Include(words[i + 1]);
      const auto wanted = std::ranges::find(found_, words[i], &Found::name);
      if (wanted != found_.end()) wanted->value = words[i + 1];
    }
  }

  void Include(const std::string& pattern) {
    const std::string path = pattern.starts_with('/') ? pattern : conf_dir_ + pattern;
    if (!HasWildcard(path)) return File(path);
    for (const std::string& found : Expand(path)) File(found);
  }

  std::string conf_dir_;
  int includes_ = 0;
  std::array<Found, 2> found_{{{"pid", {}}, {"control_socket", {}}}};
};

std::string From(const std::string& folder, const std::string& path) {
  return path.starts_with('/') ? path : folder + path;
}

}  // namespace

Places Glance(const LoadOptions& options) {
  const std::string prefix = options.prefix.ends_with('/') ? options.prefix : options.prefix + '/';
  const std::string file = From(prefix, options.file);
  Glancer glancer(file.substr(0, file.rfind('/') + 1));
  glancer.Text(options.global_directives);
  glancer.File(file);
  Places places;
  places.pid = From(prefix, glancer.Value("pid").value_or(options.default_pid));
  const auto control = glancer.Value("control_socket");
  if (control == kControlSocketOff) return places;
  places.control = control ? From(prefix, *control) : DefaultControlPath(places.pid);
  return places;
}

}  // namespace limpet::conf
