// The text format of Prometheus, version 0.0.4: all samples of a metric follow its HELP and TYPE.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace limpet::worker {

// A label's value with the three characters escaped that the format asks for.
inline std::string Label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

class MetricsText {
 public:
  // A counter, whose name gets _total, or a gauge.
  void Begin(std::string name, bool grows, std::string_view help) {
    if (grows && !name.ends_with("_total")) name += "_total";
    BeginAs(std::move(name), grows ? "counter" : "gauge", help);
  }
  void BeginHistogram(std::string name, std::string_view help) {
    BeginAs(std::move(name), "histogram", help);
  }
  // `labels`: in braces, or "". `suffix`: of a histogram's parts.
  template <class Value>
  void Sample(std::string_view labels, Value value, std::string_view suffix = {}) {
    fmt::format_to(std::back_inserter(text_), "{}{}{} {}\n", name_, suffix, labels, value);
  }
  std::string Take() { return std::move(text_); }

 private:
  void BeginAs(std::string name, std::string_view type, std::string_view help) {
    name_ = std::move(name);
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                   type);
  }

  std::string text_, name_;
};

}  // namespace limpet::worker
