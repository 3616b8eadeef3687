// A request head from the fields of a HEADERS block (RFC 9113 8.2 and 8.3), by what nginx answers
// to a wrong one. One per connection, reused for each stream: the blocks of two streams never mix.
//
//   builder.Begin(rules, memory);
//   builder.Add(name, value);     // for each field, in its order, also after a fault
//   builder.Finish();             // what becomes of the request
//
// Whoever decodes the block must not judge it as well (nghttp2: no_http_messaging), since a
// malformed request is answered here, as nginx does, and not reset. What is beyond a limit is
// counted and never stored: `memory` takes at most four times `limits.max_total`, and some bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "proto/http1/framing.h"
#include "proto/http1/message.h"
#include "proto/http1/request_parser.h"

namespace limpet::proto {

enum class HeadFault : uint8_t {
  kNone,
  kAnswer,    // the request is answered with error().status; no upstream hears of it
  kCalm,      // the connection ends with ENHANCE_YOUR_CALM: the head is beyond its limits
  kProtocol,  // the connection ends with PROTOCOL_ERROR
};

struct Http2HeadRules {
  HeadLimits limits;       // max_line bounds a name and a value, max_total all of them together
  bool websocket = false;  // extended CONNECT is allowed (RFC 8441): our SETTINGS say so
};

class RequestHeadBuilder {
 public:
  RequestHeadBuilder() = default;
  // `lists`: memory for the list of fields, which goes with the head.
  explicit RequestHeadBuilder(std::pmr::memory_resource* lists)
      : head_{.headers = HeaderList(lists)} {}

  // `memory` keeps the bytes of the head: the views are good until it releases them.
  void Begin(const Http2HeadRules& rules, std::pmr::memory_resource* memory);
  // kAnswer stands until Finish: more fields are counted, and the first fault is the one that is
  // told. kCalm and kProtocol come at once.
  HeadFault Add(std::string_view name, std::string_view value);
  // From here on: the server is known, and names of fields are judged as it says.
  void UseFieldRules(const HeadLimits& limits);
  // Completes the head: the request line, Host, the cookie from its crumbs. After a fault as far as
  // the head is known, for the log.
  HeadFault Finish();

  // After Finish. `target` is :path, or the authority of a CONNECT. A WebSocket's handshake (see
  // is_websocket) is made the request that HTTP/1.1 has for it: GET with Upgrade and Connection,
  // but for Sec-WebSocket-Key; request_line still says CONNECT.
  RequestHead& head() { return head_; }
  const RequestHead& head() const { return head_; }
  // By content-length alone: what the stream's end says comes on top (StreamFraming).
  const Framing& framing() const { return framing_; }
  HeadFault fault() const { return fault_; }
  const HeadError& error() const { return error_; }  // of any fault: `reason` is for the log
  bool is_websocket() const { return fault_ == HeadFault::kNone && !protocol_.empty(); }
  std::string_view scheme() const { return scheme_; }
  std::string_view authority() const { return authority_; }  // as sent; "" if there was none

  // Bytes of names and values so far: what nginx counts against large_client_header_buffers.
  size_t size() const { return size_; }
  // Fields that were dropped under ignore_invalid_headers, for the info log.
  size_t ignored_fields() const { return ignored_fields_; }
  std::string_view first_ignored_name() const { return first_ignored_name_; }

 private:
  [[gnu::cold]] void Fail(HeadFault fault, int status, std::string_view reason,
                          std::string_view detail = {});
  [[gnu::cold]] void Refuse(std::string_view reason, std::string_view detail = {});
  bool Count(std::string_view name, std::string_view value);
  void AddPseudo(std::string_view name, std::string_view value);
  void AddRegular(std::string_view name, std::string_view value);
  void SetOnce(std::string_view* field, std::string_view name, std::string_view value);
  void CheckPseudo();
  void CheckRegular();
  void SettleHost();
  void NoteHost();
  void JoinCookie();
  void ComposeRequestLine();
  void BecomeUpgrade();
  char* Take(size_t size);
  std::string_view Keep(std::string_view text);
  std::string_view Join(std::span<const std::string_view> parts, std::string_view separator);

  Http2HeadRules rules_;
  std::pmr::memory_resource* memory_ = nullptr;
  std::span<char> piece_;  // of it, what is left of the last one
  RequestHead head_;
  Framing framing_;
  HeadError error_;
  HeadFault fault_ = HeadFault::kNone;
  std::string_view method_, scheme_, authority_, path_, protocol_;
  std::vector<std::string_view> crumbs_;  // of the cookie (RFC 9113 8.2.3)
  size_t size_ = 0;
  size_t ignored_fields_ = 0;
  std::string_view first_ignored_name_;
  bool has_authority_ = false;
  bool in_regular_ = false;  // a regular field has come: no pseudo-field may follow
};

// Whether a field may stand in a trailer section (RFC 9113 8.1): a regular one, well-formed, that
// says nothing of the connection or the framing. "" if so, else the reason for the log.
std::string_view TrailerFault(std::string_view name, std::string_view value);

}  // namespace limpet::proto
