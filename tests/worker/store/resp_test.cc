#include "worker/store/resp.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <malloc.h>

#include <string>
#include <vector>

namespace limpet::worker {
namespace {

using namespace std::string_literals;
using Status = RespReader::Status;
using Type = RespReply::Type;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A reply as a line: what the tests compare.
std::string Show(const RespReply& reply) {
  switch (reply.type) {
    case Type::kNil:
      return "nil";
    case Type::kStatus:
      return "+" + reply.text;
    case Type::kError:
      return "-" + reply.text;
    case Type::kInteger:
      return fmt::format(":{}", reply.integer);
    case Type::kString:
      return "'" + reply.text + "'";
    case Type::kArray:
      break;
  }
  std::string all = "[";
  for (const RespReply& element : reply.elements) all += Show(element) + " ";
  if (all.size() > 1) all.pop_back();
  return all + "]";
}

std::vector<std::string> Drain(RespReader* reader) {
  std::vector<std::string> all;
  RespReply reply;
  Status status;
  while ((status = reader->Next(&reply)) == Status::kReply) all.push_back(Show(reply));
  if (status == Status::kError) all.push_back("error: " + reader->error());
  return all;
}

// What comes out of bytes that come in pieces of a size; the last is smaller.
std::vector<std::string> Read(std::string_view bytes, size_t piece,
                              const RespReader::Limits& limits = {}) {
  RespReader reader(limits);
  std::vector<std::string> all;
  for (size_t at = 0; at < bytes.size() && reader.error().empty(); at += piece) {
    reader.Feed(bytes.substr(at, piece));
    for (std::string& reply : Drain(&reader)) all.push_back(std::move(reply));
  }
  return all;
}

std::vector<std::string> Read(std::string_view bytes, const RespReader::Limits& limits = {}) {
  return Read(bytes, bytes.size(), limits);
}

std::string Nested(size_t depth) {
  std::string bytes;
  for (size_t i = 0; i < depth; ++i) bytes += "*1\r\n";
  return bytes + ":1\r\n";
}

const std::string kAll =
    "+OK\r\n"
    "-ERR unknown command\r\n"
    ":-42\r\n"
    "$5\r\nhello\r\n"
    "$0\r\n\r\n"
    "$-1\r\n"
    "*-1\r\n"
    "*0\r\n"
    "$4\r\na\r\nb\r\n"
    "$3\r\n\0\1\2\r\n"
    "*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n"
    "+\r\n"
    ":9223372036854775807\r\n"
    "*2\r\n*1\r\n-NO\r\n+YES\r\n"s;

TEST(RespCommand, FormatsAnyBytes) {
  EXPECT_EQ(RespCommand({"GET", "a"}), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  EXPECT_EQ(RespCommand({"SET", "\0\r\n%s"s, ""}),
            "*3\r\n$3\r\nSET\r\n$5\r\n\0\r\n%s\r\n$0\r\n\r\n"s);
  EXPECT_EQ(RespCommand({"PING", std::string_view()}), "*2\r\n$4\r\nPING\r\n$0\r\n\r\n");
  const std::string large(100'000, '\xff');
  EXPECT_EQ(RespCommand({large}), "*1\r\n$100000\r\n" + large + "\r\n");
}

TEST(RespCommand, IsReadAsItWasWritten) {
  EXPECT_THAT(Read(RespCommand({"SET", "k%s\r\n"})), ElementsAre("['SET' 'k%s\r\n']"));
}

TEST(RespReader, ReadsEachTypeOfReply) {
  EXPECT_THAT(Read(kAll), ElementsAre("+OK", "-ERR unknown command", ":-42", "'hello'", "''", "nil",
                                      "nil", "[]", "'a\r\nb'", "'\0\1\2'"s, "[:1 ['a' []] nil]",
                                      "+", ":9223372036854775807", "[[-NO] +YES]"));
}

TEST(RespReader, ReadsTheSameHoweverTheBytesAreSplit) {
  const auto whole = Read(kAll);
  for (size_t piece = 1; piece < kAll.size(); ++piece) EXPECT_EQ(Read(kAll, piece), whole);
  for (size_t at = 1; at < kAll.size(); ++at) {
    RespReader reader({});
    reader.Feed(std::string_view(kAll).substr(0, at));
    auto all = Drain(&reader);
    reader.Feed(std::string_view(kAll).substr(at));
    for (std::string& reply : Drain(&reader)) all.push_back(std::move(reply));
    EXPECT_EQ(all, whole) << "split at " << at;
  }
}

TEST(RespReader, ReadsManyRepliesOfOnePiece) {
  std::string bytes;
  for (int i = 0; i < 10'000; ++i) bytes += fmt::format(":{}\r\n", i);
  const auto all = Read(bytes);
  ASSERT_EQ(all.size(), 10'000u);
  EXPECT_EQ(all.back(), ":9999");
}

TEST(RespReader, LeavesTheReplyAloneWhileThereIsNone) {
  RespReader reader({});
  RespReply reply{.text = "mine"};
  EXPECT_EQ(reader.Next(&reply), Status::kMore);
  reader.Feed("$5\r\nhel");
  EXPECT_EQ(reader.Next(&reply), Status::kMore);
  EXPECT_EQ(reply.text, "mine");
  reader.Feed("lo\r\n:1");
  EXPECT_EQ(reader.Next(&reply), Status::kReply);
  EXPECT_EQ(Show(reply), "'hello'");
  EXPECT_EQ(reader.Next(&reply), Status::kMore);
}

TEST(RespReader, BeginsAnewWithEachReply) {
  RespReader reader({});
  reader.Feed("*2\r\n:1\r\n:2\r\n$1\r\na\r\n");
  RespReply reply;
  reader.Next(&reply);
  EXPECT_EQ(reader.Next(&reply), Status::kReply);
  EXPECT_THAT(reply.elements, IsEmpty());
  EXPECT_EQ(Show(reply), "'a'");
}

// --- Limits: each as whole bytes and one by one.

struct Refused {
  std::string bytes, why;
};

class RespLimits : public testing::TestWithParam<Refused> {};

TEST_P(RespLimits, AreSaid) {
  const RespReader::Limits limits{.text = 16, .elements = 4, .depth = 3, .bytes = 100};
  for (const size_t piece : {GetParam().bytes.size(), size_t{1}, size_t{7}}) {
    const auto all = Read(":1\r\n" + GetParam().bytes, piece, limits);
    ASSERT_EQ(all.size(), 2u) << "in pieces of " << piece;
    EXPECT_EQ(all[0], ":1");
    EXPECT_EQ(all[1], "error: " + GetParam().why);
  }
}

const std::string kText16(16, 'x'), kText17(17, 'x');
INSTANTIATE_TEST_SUITE_P(
    All, RespLimits,
    testing::Values(Refused{"+" + kText17 + "\r\n", "a text of more than 16 bytes"},
                    Refused{"-" + kText17 + "\r\n", "a text of more than 16 bytes"},
                    Refused{"$17\r\n" + kText17 + "\r\n", "a text of more than 16 bytes"},
                    Refused{"$17\r\n", "a text of more than 16 bytes"},
                    Refused{"$2147483647\r\n", "a text of more than 16 bytes"},
                    Refused{"$9223372036854775807\r\n", "a text of more than 16 bytes"},
                    Refused{"*1\r\n$2147483647\r\n", "a text of more than 16 bytes"},
                    Refused{"+" + std::string(99, 'x'), "a text of more than 16 bytes"},
                    Refused{"*5\r\n", "an array of more than 4 elements"},
                    Refused{"*2147483647\r\n", "an array of more than 4 elements"},
                    Refused{"*2\r\n:1\r\n*2147483647\r\n", "an array of more than 4 elements"},
                    Refused{Nested(4), "arrays more than 3 deep"},
                    Refused{Nested(20), "arrays more than 3 deep"},
                    Refused{"*4\r\n*1\r\n:1\r\n*1\r\n*1\r\n*0\r\n", "arrays more than 3 deep"},
                    Refused{"*4\r\n*4\r\n$16\r\n" + kText16 + "\r\n$16\r\n" + kText16 +
                                "\r\n$16\r\n" + kText16 + "\r\n$16\r\n" + kText16 +
                                "\r\n:1\r\n:2\r\n:3\r\n",
                            "a reply of more than 100 bytes"},
                    Refused{":" + std::string(30, '1'), "a number that does not end"},
                    Refused{"$" + std::string(30, '1'), "a number that does not end"},
                    Refused{"*" + std::string(30, '1'), "a number that does not end"}));

TEST(RespReader, TakesWhatIsJustWithinItsLimits) {
  const RespReader::Limits limits{.text = 16, .elements = 4, .depth = 3, .bytes = 100};
  for (const std::string& bytes :
       {"+" + kText16 + "\r\n", "-" + kText16 + "\r\n", "$16\r\n" + kText16 + "\r\n", Nested(3),
        "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n"s,
        "*4\r\n$16\r\n" + kText16 + "\r\n$16\r\n" + kText16 + "\r\n$16\r\n" + kText16 +
            "\r\n$16\r\n" + std::string(16, 'y') + "\r\n"}) {
    const auto whole = Read(bytes, limits);
    ASSERT_EQ(whole.size(), 1u);
    EXPECT_THAT(whole[0], Not(HasSubstr("error")));
    EXPECT_EQ(Read(bytes, 1, limits), whole);
  }
}

TEST(RespReader, CountsTheBytesOfEachReplyForItself) {
  const RespReader::Limits limits{.bytes = 10};
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += "$4\r\nabcd\r\n"s;  // just ten
  EXPECT_EQ(Read(bytes, limits).size(), 100u);
  EXPECT_EQ(Read(bytes, 3, limits).size(), 100u);
  EXPECT_THAT(Read("$5\r\nabcde\r\n", limits), ElementsAre("error: a reply of more than 10 bytes"));
}

TEST(RespReader, KeepsNoMoreThanItsLimitOfWhatNobodyAsksFor) {
  RespReader reader({.bytes = 100});
  for (int i = 0; i < 50; ++i) reader.Feed(":1\r\n");
  EXPECT_EQ(reader.error(), "more than 100 bytes of replies that nobody has asked for");
}

// --- What is no reply.

class RespGarbage : public testing::TestWithParam<std::string> {};

TEST_P(RespGarbage, IsAnErrorThatIsNamed) {
  for (const size_t piece : {GetParam().size(), size_t{1}}) {
    const auto all = Read(GetParam(), piece);
    ASSERT_EQ(all.size(), 1u) << "in pieces of " << piece;
    EXPECT_THAT(all[0], testing::StartsWith("error: "));
    EXPECT_GT(all[0].size(), 10u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RespGarbage,
                         testing::Values("HTTP/1.1 400 Bad Request\r\n", "\r\n", "\0\0\0\0"s,
                                         "$-2\r\n", "*-2\r\n", "*-9223372036854775808\r\n",
                                         "$x\r\n", "*\r\n", ":\r\n", ":1.5\r\n",
                                         ":12345678901234567890\r\n", "*1\r\n?\r\n", "%1\r\n",
                                         "_\r\n", "*4294967297\r\n", "$18446744073709551616\r\n",
                                         "*18446744073709551616\r\n"));

TEST(RespReader, TakesNothingAfterAnError) {
  RespReader reader({});
  reader.Feed("?");
  RespReply reply;
  EXPECT_EQ(reader.Next(&reply), Status::kError);
  const std::string error = reader.error();
  EXPECT_THAT(error, HasSubstr("?"));
  reader.Feed(":1\r\n");
  EXPECT_EQ(reader.Next(&reply), Status::kError);
  EXPECT_EQ(reader.error(), error);
}

// Announced sizes cost nothing; the default limits are those of the product.
TEST(RespReader, AllocatesForWhatHasComeOnly) {
  const size_t before = mallinfo2().uordblks;
  std::vector<std::unique_ptr<RespReader>> readers;
  for (int i = 0; i < 100; ++i) {
    readers.push_back(std::make_unique<RespReader>(RespReader::Limits{}));
    readers.back()->Feed("*1024\r\n*1024\r\n*1024\r\n*1024\r\n*1024\r\n$512\r\n");
    EXPECT_THAT(Drain(readers.back().get()), IsEmpty());
  }
  const size_t after = mallinfo2().uordblks;
  EXPECT_LT(after - before, size_t{100} * 8192);  // under a sanitizer this says nothing
}

}  // namespace
}  // namespace limpet::worker
