// Regular expressions for a request: a failure is told to its reader, named groups become
// variables.
#pragma once

#include <vector>

#include "conf/regex.h"
#include "conf/variables.h"

namespace limpet::conf {

// False if it does not match, and if it failed: then the reader knows.
inline bool Matches(VariableReader& reader, const Regex& regex, std::string_view subject,
                    Captures* captures) {
  const MatchResult result = regex.Match(subject, captures);
  if (result.failed()) reader.FailMatch(regex.Explain(result));
  return result.yes();
}

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

// Matches(); then the groups are the reader's, by number and by name.
inline bool MatchGroups(VariableReader& reader, const Regex& regex,
                        const std::vector<VariableId>& named, std::string_view subject) {
  if (!Matches(reader, regex, subject, &reader.captures())) return false;
  PublishGroups(reader, regex, named);
  return true;
}

}  // namespace limpet::conf
