#include "worker/status/json_input.h"

#include <fmt/format.h>

#include <set>

namespace limpet::worker {
namespace {

constexpr size_t kMaxDepth = 16;

// Reads along without keeping anything but the keys of the objects that are open.
class Judge final : public nlohmann::json_sax<Json> {
 public:
  std::string why = "must be a JSON object";

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(); }
  bool start_array(std::size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    if (open_.back().insert(name).second) return true;
    why = fmt::format("has the key \"{}\" twice", name);
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool Open() {
    open_.emplace_back();
    if (open_.size() <= kMaxDepth) return true;
    why = "is nested too deeply";
    return false;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> open_;
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  const auto refuse = [what](std::string_view why) {
    return InvalidArgument(fmt::format("{} {}", what, why));
  };
  // The parser would skip the one and stop at the other.
  if (text.starts_with("\xEF\xBB\xBF")) return refuse("has a byte order mark");
  if (text.find('\0') != std::string_view::npos) return refuse("has a NUL byte");
  Judge judge;
  if (!Json::sax_parse(text, &judge)) return refuse(judge.why);
  return Json::parse(text, nullptr, false);
}

}  // namespace limpet::worker
