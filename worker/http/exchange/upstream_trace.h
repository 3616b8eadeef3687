// What happened at each upstream peer that an exchange tried: the source of $upstream_addr,
// $upstream_status and the rest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {

struct UpstreamAttempt {
  // "127.0.0.1:8081", or the group's name if no peer could be had; lives in the group.
  std::string_view peer;
  std::string_view sticky;  // of $upstream_sticky_status: NEW, HIT, MISS or ""; static
  int status = 0;           // 0: no response
  // First attempt of another group, after an internal redirect: ":" instead of ",".
  bool after_redirect = false;
  int64_t connect_ms = -1;  // -1: did not happen
  int64_t header_ms = -1;
  int64_t response_ms = -1;
  uint64_t response_length = 0;  // bytes behind the head, chunked framing included
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
};

class UpstreamTrace {
 public:
  // While it lives, what other groups have answered is all that can be seen: a request is written
  // as nginx does it, before a peer is chosen and once for all peers of a group.
  class OthersOnly {
   public:
    explicit OthersOnly(UpstreamTrace& trace) : trace_(trace) { trace_.hides_group_ = true; }
    ~OthersOnly() { trace_.hides_group_ = false; }
    OthersOnly(const OthersOnly&) = delete;
    OthersOnly& operator=(const OthersOnly&) = delete;

   private:
    UpstreamTrace& trace_;
  };

  UpstreamAttempt& Begin(std::string_view peer) {
    if (new_group_) group_ = static_cast<uint32_t>(attempts_.size());
    attempts_.push_back(
        {.peer = peer, .sticky = {}, .after_redirect = new_group_ && !attempts_.empty()});
    new_group_ = false;
    return attempts_.back();
  }
  void NewGroup() { new_group_ = true; }
  bool empty() const { return attempts().empty(); }
  UpstreamAttempt& last() { return attempts_.back(); }
  std::span<const UpstreamAttempt> attempts() const {
    return {attempts_.data(), hides_group_ ? group_ : attempts_.size()};
  }
  void Reset() {
    attempts_.clear();
    group_ = 0;
    new_group_ = false;
  }

 private:
  std::vector<UpstreamAttempt> attempts_;
  uint32_t group_ = 0;  // the first of the present group
  bool new_group_ = false;
  bool hides_group_ = false;
};

}  // namespace limpet::worker
