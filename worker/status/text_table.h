// Tables for a terminal, and what is read out of JSON for them: of whatever an answer is, what has
// another type than was expected is not there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/status/json_parts.h"

namespace limpet::worker {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; numbers stand to the right.
class Table {
 public:
  explicit Table(Row head) { rows_.push_back(std::move(head)); }
  void Add(Row row) { rows_.push_back(std::move(row)); }
  std::string Render() const;

 private:
  size_t Width(size_t column) const;
  bool Numbers(size_t column) const;
  void Cell(std::string* line, const std::string& text, size_t column) const;

  std::vector<Row> rows_;
};

// "-" where there is none.
std::string Number(const Json& object, const char* name);
std::string Seconds(const Json& object, const char* ms);
std::string Text(const Json& object, const char* name);
std::string Percent(const Json& object, const char* name);
bool Flag(const Json& object, const char* name);
Json List(const Json& object, const char* name);
Json Object(const Json& object, const char* name);
std::string Plain(const Json& value);

}  // namespace limpet::worker
