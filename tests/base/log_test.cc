#include "base/log.h"

#include <gtest/gtest.h>

namespace limpet {
namespace {

class Lines final : public LogTarget {
 public:
  void Write(LogLevel, std::string_view message) override { text = message; }
  Status Reopen() override { return {}; }

  std::string text;
};

TEST(Log, ShowsBytesThatCouldForgeALine) {
  Lines target;
  Log log;
  log.Add(&target, LogLevel::kError);
  log.Write(LogLevel::kError, 7, std::string_view("user \"a\r\nb\x1B[31m\x7F\xC3\xA9\0\t\"", 21));
  EXPECT_TRUE(target.text.ends_with(R"(: *7 user "a\x0D\x0Ab\x1B[31m\x7F\xC3\xA9\x00\x09")"))
      << target.text;
}

}  // namespace
}  // namespace limpet
