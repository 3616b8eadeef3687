// Named groups of a match as variables.
#pragma once

#include <vector>

#include "conf/regex.h"
#include "conf/variables.h"

namespace limpet::conf {

// Gives the variables `ids`, one for each named group of `regex`, the text of its last match, which
// is in reader.captures(). They keep it until another match with such a group, whatever matches in
// between. A group that took no part is empty, not absent.
inline void PublishGroups(VariableReader& reader, const Regex& regex,
                          const std::vector<VariableId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const int group = regex.named_groups()[i].group;
    reader.SetNamed(ids[i], Value::Of(reader.captures().Group(group)));
  }
}

}  // namespace limpet::conf
