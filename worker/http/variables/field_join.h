// Finds header fields by the name that a variable carries, and joins their values. Pure but for the
// memory it asks for.
#pragma once

#include <cstring>
#include <string_view>

#include "base/text.h"
#include "conf/variables.h"
#include "proto/headers.h"

namespace limpet::worker {

// Whether `name` (as sent) is the `suffix` of a variable: lower case, and _ for every character but
// letters and digits that a variable's name cannot have, which in field names is -.
inline bool FieldIs(std::string_view name, std::string_view suffix) {
  if (name.size() != suffix.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i] == '-' ? '_' : AsciiLower(name[i]);
    if (c != suffix[i]) return false;
  }
  return true;
}

// The values of all fields of that name, in order; a single one is a view of it.
inline conf::Value JoinFieldValues(conf::VariableReader& memory, const proto::HeaderList& fields,
                                   std::string_view suffix, std::string_view separator) {
  const proto::Header* first = nullptr;
  size_t count = 0, size = 0;
  for (const proto::Header& field : fields) {
    if (!FieldIs(field.name, suffix)) continue;
    if (count++ == 0) first = &field;
    size += field.value.size() + separator.size();
  }
  if (count == 0) return conf::Value::None();
  if (count == 1) return conf::Value::Of(first->value);
  char* const out = memory.Allocate(size);
  char* at = out;
  const auto append = [&at](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  for (const proto::Header& field : fields) {
    if (!FieldIs(field.name, suffix)) continue;
    if (at != out || &field != first) append(separator);
    append(field.value);
  }
  return conf::Value::Of({out, static_cast<size_t>(at - out)});
}

}  // namespace limpet::worker
