#include "base/file_text.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace limpet {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    out.Reset(ends[0]);
    in.Reset(ends[1]);
  }
  UniqueFd out, in;
};

// What is written to a pipe, as it is read from the other end.
Result<std::string> Through(const std::string& text, size_t most = SIZE_MAX) {
  Pipe pipe;
  std::thread writer([&] {
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = ::write(pipe.in.get(), text.data() + sent, text.size() - sent);
      if (n < 0) break;
      sent += static_cast<size_t>(n);
    }
    pipe.in.Reset();
  });
  auto read = ReadToEnd(pipe.out.get(), "x", most);
  char rest[4096];
  while (::read(pipe.out.get(), rest, sizeof rest) > 0) continue;
  writer.join();
  return read;
}

TEST(FileText, IsReadToItsEnd) {
  for (const size_t size : {0u, 1u, 4095u, 4096u, 4097u, 300'000u}) {
    std::string text(size, 'a');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i % 251);
    const auto read = Through(text);
    ASSERT_TRUE(read) << size;
    EXPECT_EQ(*read, text) << size;
  }
}

TEST(FileText, MayBeBounded) {
  EXPECT_TRUE(Through(std::string(65'536, 'a'), 65'536));
  const auto longer = Through(std::string(65'537, 'a'), 65'536);
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, std::errc::file_too_large);
  EXPECT_EQ(longer.error().message, "\"x\" is longer than 64k");
}

TEST(FileText, SaysWhichCallFailed) {
  const auto none = ReadFile("/none/of/that/name");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, std::errc::no_such_file_or_directory);
  EXPECT_EQ(none.error().message,
            "open() \"/none/of/that/name\" failed (2: No such file or directory)");
  const auto folder = ReadFile("/");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().message, "read() \"/\" failed (21: Is a directory)");
}

}  // namespace
}  // namespace limpet
