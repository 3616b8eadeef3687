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
    if (text != std::string_view(texts_).substr(0, size_) && !Learn(text)) return false;
    if (text.empty()) return false;
    *out = host_;
    return true;
  }

 private:
  bool Learn(std::string_view text) {
    texts_ = text;
    size_ = text.size();
    std::string lower;
    if (!proto::ValidateHost(texts_, &lower, &host_)) {
      size_ = 0;
      return false;
    }
    if (!lower.empty()) {
      texts_ += lower;
      host_.host = std::string_view(texts_).substr(size_);
    }
    return true;
  }

  std::string texts_;        // as sent, and behind that in lower case if it is not the same
  size_t size_ = 0;          // of the first; 0: none yet
  proto::HostAndPort host_;  // a view of texts_
};

}  // namespace limpet::worker
