// Fields of a HEADERS block. The first byte chooses the rules; then each field is the lengths of
// its name and value, a byte each, and their bytes. What is taken is written as an HTTP/1.1 head,
// as an upstream gets it: it must read as one request with the same fields.
#include <algorithm>
#include <memory_resource>
#include <string>

#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"
#include "proto/http2/framing.h"
#include "proto/http2/head.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/counting_memory.h"

using namespace limpet::proto;

namespace {

std::string_view Take(std::string_view* input, size_t size) {
  const std::string_view taken = input->substr(0, size);
  input->remove_prefix(taken.size());
  return taken;
}

std::string AsHttp1(const RequestHead& head) {
  std::string text;
  text.append(head.method_name).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  for (const Header& header : head.headers)
    text.append(header.name).append(": ").append(header.value).append("\r\n");
  return text.append("\r\n");
}

void CheckAsHttp1(const RequestHead& head, const HeadLimits& limits) {
  const std::string text = AsHttp1(head);
  RequestParser parser;
  HeadLimits roomy = limits;
  roomy.max_line = roomy.max_total = roomy.max_headers = 1 << 20;
  FUZZ_CHECK(parser.Parse(text.data(), text.size(), roomy) == HeadStatus::kComplete,
             "an upstream would refuse the head");
  FUZZ_CHECK(parser.consumed() == text.size(), "an upstream would see another request behind it");
  FUZZ_CHECK(CheckRequest(parser.head(), RequestFraming(parser.head())).status == 0,
             "an upstream would refuse the request");
  const RequestHead& read = parser.head();
  FUZZ_CHECK(read.method == head.method && read.target == head.target, "another request is read");
  FUZZ_CHECK(read.headers.size() == head.headers.size(), "fields have come or gone");
  for (size_t i = 0; i < read.headers.size(); ++i) {
    FUZZ_CHECK(read.headers[i].name == head.headers[i].name, "another name is read");
    FUZZ_CHECK(read.headers[i].value == head.headers[i].value, "another value is read");
  }
}

}  // namespace

FUZZ_TARGET(http2_head, input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(Take(&input, 1)[0]);
  const Http2HeadRules rules{.limits = {.max_line = 200,
                                        .max_total = 1000,
                                        .max_headers = 8,
                                        .ignore_invalid_headers = (choice & 1) != 0,
                                        .underscores_in_headers = (choice & 2) != 0},
                             .websocket = (choice & 4) != 0};
  limpet::CountingMemory memory;
  RequestHeadBuilder builder;
  builder.Begin(rules, &memory);
  while (input.size() >= 2) {
    const auto name_size = static_cast<unsigned char>(input[0]);
    const auto value_size = static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    const std::string name(Take(&input, name_size));  // gone after the call, as a decoder's
    const std::string value(Take(&input, value_size));
    const HeadFault before = builder.fault();
    const HeadFault after = builder.Add(name, value);
    FUZZ_CHECK(after >= before, "a fault is forgotten");
  }
  const HeadFault fault = builder.Finish();
  FUZZ_CHECK(memory.given <= 2 * rules.limits.max_total + 600, "more is stored than allowed");
  FUZZ_CHECK((fault == HeadFault::kNone) == (builder.error().status == 0), "a fault has no status");
  if (fault != HeadFault::kNone) return;
  const RequestHead& head = builder.head();
  FUZZ_CHECK(builder.size() <= rules.limits.max_total, "a head is too long");
  FUZZ_CHECK(head.headers.Count(HeaderId::kHost) == 1, "a head names one host");
  FUZZ_CHECK(head.headers.Count(HeaderId::kCookie) <= 1, "a head has one cookie");
  FUZZ_CHECK(!head.headers.Has(HeaderId::kTransferEncoding), "a coding of transfer is taken");
  FUZZ_CHECK(head.headers.Has(HeaderId::kUpgrade) == builder.is_websocket(), "an upgrade is taken");
  const bool has_length = head.headers.Has(HeaderId::kContentLength);
  const Framing open = StreamFraming(head, builder.framing(), false);
  FUZZ_CHECK(open.ok() && (open.kind == BodyKind::kChunked) == !has_length, "a length is lost");
  CheckAsHttp1(head, rules.limits);
}
