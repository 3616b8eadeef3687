// Replies of a session store. The first byte is the size of the pieces that they come in.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "worker/store/resp.h"

using namespace limpet;
using namespace limpet::worker;

namespace {

constexpr RespReader::Limits kLimits{.text = 64, .elements = 16, .depth = 3, .bytes = 512};

struct Result {
  std::vector<std::string> replies;
  bool failed = false;
  bool operator==(const Result&) const = default;
};

// As text; what it holds is within the limits, the room for it within twice as much.
std::string Check(const RespReply& reply, size_t depth) {
  const bool is_array = reply.type == RespReply::Type::kArray;
  FUZZ_CHECK(reply.text.size() <= kLimits.text, "a long text");
  FUZZ_CHECK(reply.text.capacity() <= 2 * kLimits.text, "room for a long text");
  FUZZ_CHECK(reply.elements.size() <= kLimits.elements, "many elements");
  FUZZ_CHECK(reply.elements.capacity() <= 2 * kLimits.elements, "room for many elements");
  FUZZ_CHECK(is_array || reply.elements.empty(), "elements of no array");
  FUZZ_CHECK(!is_array || depth < kLimits.depth, "a deep array");
  std::string all = std::to_string(static_cast<int>(reply.type)) + ' ' + reply.text + ' ' +
                    std::to_string(reply.integer) + '(';
  for (const RespReply& element : reply.elements) all += Check(element, depth + 1) + ',';
  return all + ')';
}

Result Read(std::string_view bytes, size_t piece) {
  RespReader reader(kLimits);
  Result result;
  for (; !bytes.empty() && !result.failed; bytes.remove_prefix(std::min(piece, bytes.size()))) {
    reader.Feed(bytes.substr(0, piece));
    RespReply reply;
    RespReader::Status status;
    while ((status = reader.Next(&reply)) == RespReader::Status::kReply) {
      result.replies.push_back(Check(reply, 0));
    }
    result.failed = status == RespReader::Status::kError;
    FUZZ_CHECK(result.failed == !reader.error().empty(), "an error without a name");
  }
  return result;
}

}  // namespace

FUZZ_TARGET(resp, input) {
  if (input.size() < 2) return;
  const size_t piece = 1 + static_cast<unsigned char>(input[0]) % 64;
  const std::string_view bytes = input.substr(1);
  const Result whole = Read(bytes, bytes.size());
  FUZZ_CHECK(Read(bytes, 1) == whole, "byte by byte it is another");
  FUZZ_CHECK(Read(bytes, piece) == whole, "in pieces it is another");
}
