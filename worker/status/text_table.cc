#include "worker/status/text_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace limpet::worker {

std::string Table::Render() const {
  std::string out;
  for (const Row& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) Cell(&line, row[i], i);
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

size_t Table::Width(size_t column) const {
  size_t width = 0;
  for (const Row& row : rows_) width = std::max(width, row[column].size());
  return width;
}

bool Table::Numbers(size_t column) const {
  return std::all_of(rows_.begin() + 1, rows_.end(), [column](const Row& row) {
    return row[column].find_first_not_of("0123456789.%-") == std::string::npos;
  });
}

void Table::Cell(std::string* line, const std::string& text, size_t column) const {
  const std::string_view gap = column == 0 ? "" : "  ";
  *line += Numbers(column) ? fmt::format("{}{:>{}}", gap, text, Width(column))
                           : fmt::format("{}{:<{}}", gap, text, Width(column));
}

std::string Number(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_number_integer() ? "-" : found->dump();
}

std::string Seconds(const Json& object, const char* ms) {
  const auto found = object.find(ms);
  if (found == object.end() || !found->is_number_integer()) return "-";
  return std::to_string(found->get<int64_t>() / 1000);
}

std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_string() ? "-" : found->get<std::string>();
}

std::string Percent(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return "-";
  return fmt::format("{:.1f}%", found->get<double>() * 100);
}

bool Flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

Json List(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

Json Object(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

std::string Plain(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace limpet::worker
