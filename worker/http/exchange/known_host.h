// A host as requests name it, checked once: a client's next request names the same.
#pragma once

#include <string>
#include <string_view>

#include "proto/target.h"

namespace limpet::worker {

class KnownHost {
 public:
  // As proto::ValidateHost. The view in *out is good until the next call.
  bool Check(std::string_view text, proto::HostAndPort* out) {
    if (text != text_ && !Learn(text)) return false;
    if (text.empty()) return false;
    *out = host_;
    return true;
  }

 private:
  bool Learn(std::string_view text) {
    text_ = text;
    if (proto::ValidateHost(text_, &lower_, &host_)) return true;
    text_.clear();
    return false;
  }

  std::string text_;         // as sent; "": none yet
  std::string lower_;        // what host_ views, unless it views text_
  proto::HostAndPort host_;  // of text_
};

}  // namespace limpet::worker
