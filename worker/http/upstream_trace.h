// What happened at each upstream peer that an exchange tried: the source of $upstream_addr,
// $upstream_status and the rest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {

struct UpstreamAttempt {
  std::string_view
      peer;  // "127.0.0.1:8081", or the group's name if no peer could be had; lives in the group
  std::string_view sticky;  // of $upstream_sticky_status: NEW, HIT, MISS or ""; static
  int status = 0;           // 0: no response
  int64_t connect_ms = -1;  // -1: did not happen
  int64_t header_ms = -1;
  int64_t response_ms = -1;
  uint64_t response_length = 0;  // bytes behind the head, chunked framing included
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  bool after_redirect =
      false;  // first attempt of another group, after an internal redirect: ":" instead of ","
};

class UpstreamTrace {
 public:
  UpstreamAttempt& Begin(std::string_view peer) {
    attempts_.push_back(
        {.peer = peer, .sticky = {}, .after_redirect = new_group_ && !attempts_.empty()});
    new_group_ = false;
    return attempts_.back();
  }
  void NewGroup() { new_group_ = true; }
  bool empty() const { return attempts_.empty(); }
  UpstreamAttempt& last() { return attempts_.back(); }
  const std::vector<UpstreamAttempt>& attempts() const { return attempts_; }
  void Reset() {
    attempts_.clear();
    new_group_ = false;
  }

 private:
  std::vector<UpstreamAttempt> attempts_;
  bool new_group_ = false;
};

}  // namespace limpet::worker
