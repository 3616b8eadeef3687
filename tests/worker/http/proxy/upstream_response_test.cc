#include "worker/http/proxy/upstream_response.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace limpet::worker {
namespace {

using Parsed = UpstreamResponse::Parsed;
using Taken = UpstreamResponse::Taken;

class UpstreamResponseTest : public testing::Test {
 protected:
  UpstreamResponseTest() { response_.BeginAttempt(); }

  Parsed Head(std::string_view text, BlockSize first = BlockSize::k16K) {
    const auto room = response_.RoomForHead(pool_, most_, first);
    std::memcpy(room.data(), text.data(), text.size());
    response_.Took(text.size());
    return response_.ParseHead(most_);
  }
  // The same in reads of at most what there is room for, the first into a block of `first`.
  Parsed HeadInReads(std::string_view text, BlockSize first) {
    for (;;) {
      const auto room = response_.RoomForHead(pool_, most_, first);
      const size_t n = std::min(room.size(), text.size());
      std::memcpy(room.data(), text.data(), n);
      response_.Took(n);
      text.remove_prefix(n);
      const Parsed parsed = response_.ParseHead(most_);
      if (parsed != Parsed::kMore || text.empty()) return parsed;
    }
  }
  void BeginBody(std::string_view head) {
    ASSERT_EQ(Head(head), Parsed::kComplete);
    response_.HoldHead(proto::ResponseFraming(proto::Method::kGet, response_.head()));
    response_.BeginBody();
  }
  // What is taken out of these bytes of a body.
  std::string Body(std::string_view bytes, Taken expected) {
    EXPECT_EQ(response_.TakeBody(bytes), expected);
    std::string text;
    for (const std::string_view piece : response_.pieces()) text += piece;
    return text;
  }

  size_t most_ = 4096;  // bytes of a head
  BlockPool pool_;
  Spares<proto::ResponseParser> parsers_;
  UpstreamResponse response_{parsers_};
};

TEST_F(UpstreamResponseTest, AHeadGrowsOutOfItsBlock) {
  const std::string value(3000, 'x');
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + value + "\r\n\r\n";
  ASSERT_EQ(HeadInReads(head, BlockSize::k1K), Parsed::kComplete);
  EXPECT_EQ(response_.head().headers.Find("x")->value, value);
}

TEST_F(UpstreamResponseTest, ATooLongHeadIsOneAlsoInASmallBlock) {
  const std::string head = "HTTP/1.1 200 OK\r\nX: " + std::string(5000, 'x') + "\r\n\r\n";
  EXPECT_EQ(HeadInReads(head, BlockSize::k1K), Parsed::kError);
  response_.EndAttempt();
  response_.BeginAttempt();
  EXPECT_EQ(HeadInReads(head, BlockSize::k4K), Parsed::kError);
}

TEST_F(UpstreamResponseTest, ReadsAHeadInPieces) {
  EXPECT_EQ(Head("HTTP/1.1 200 OK\r\nConte"), Parsed::kMore);
  EXPECT_EQ(response_.half(), Half::kHead);
  EXPECT_EQ(Head("nt-Length: 3\r\n\r\nab"), Parsed::kComplete);
  EXPECT_EQ(response_.body_rest(), "ab");
}

TEST_F(UpstreamResponseTest, SkipsInterimHeads) {
  EXPECT_EQ(Head("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
            Parsed::kInterim);
  EXPECT_EQ(response_.head().status, 103);
  EXPECT_EQ(response_.ParseHead(4096), Parsed::kInterim);
  EXPECT_EQ(response_.head().status, 100);
  EXPECT_EQ(response_.ParseHead(4096), Parsed::kMore);
  EXPECT_EQ(Head("HTTP/1.1 204 No Content\r\n\r\n"), Parsed::kComplete);
  EXPECT_EQ(response_.head().status, 204);
  EXPECT_EQ(response_.body_rest(), "");
}

// Interim heads that fill the block leave room for what follows.
TEST_F(UpstreamResponseTest, InterimHeadsTakeNoRoom) {
  const size_t room = response_.RoomForHead(pool_, 4096, BlockSize::k1K).size();
  const size_t size = room / 4;
  ASSERT_EQ(size * 4, room);
  std::string head = "HTTP/1.1 103 E\r\nX: ";
  head += std::string(size - head.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(Head(head + head + head + head), Parsed::kInterim);
  for (int more = 0; more < 3; ++more) EXPECT_EQ(response_.ParseHead(4096), Parsed::kInterim);
  EXPECT_EQ(response_.ParseHead(4096), Parsed::kMore);
  EXPECT_EQ(response_.RoomForHead(pool_, 4096, BlockSize::k1K).size(), room);
  EXPECT_EQ(Head("HTTP/1.1 204 No Content\r\n\r\n"), Parsed::kComplete);
  EXPECT_EQ(response_.head().status, 204);
}

// As many as there may be bytes of a head, for each attempt anew.
TEST_F(UpstreamResponseTest, InterimHeadsHaveAnEnd) {
  const std::string hint = "HTTP/1.1 103 E\r\nX: " + std::string(1003, 'x') + "\r\n\r\n";
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Head(hint), Parsed::kInterim);
      EXPECT_EQ(response_.ParseHead(most_), Parsed::kMore);
    }
    EXPECT_EQ(Head(hint), Parsed::kTooBig);
    response_.EndAttempt();
    response_.BeginAttempt();
  }
}

TEST_F(UpstreamResponseTest, AHeadMayBeAsLongAsIsSaid) {
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  for (const size_t most : {size_t{64} * 1024, size_t{128} * 1024, size_t{250} * 1024}) {
    most_ = most;
    std::string head = start;
    while (head.size() + 1010 < most) head += "X: " + std::string(995, 'x') + "\r\n";
    head += "\r\n";
    for (const BlockSize first : {BlockSize::k1K, BlockSize::k16K}) {
      EXPECT_EQ(HeadInReads(head, first), Parsed::kComplete) << most;
      EXPECT_EQ(response_.body_rest(), "");
      response_.EndAttempt();
      response_.BeginAttempt();
    }
  }
}

TEST_F(UpstreamResponseTest, WhoWaitsForAHeadHoldsNoBlock) {
  (void)response_.RoomForHead(pool_, 4096);
  response_.ReleaseUnlessHead();
  EXPECT_EQ(pool_.in_use(), 0u);
  EXPECT_EQ(Head("HTTP/1.1 200 OK\r\n"), Parsed::kMore);
  response_.ReleaseUnlessHead();
  EXPECT_EQ(Head("Content-Length: 0\r\n\r\n"), Parsed::kComplete);
}

TEST_F(UpstreamResponseTest, RefusesWhatIsNoHead) {
  EXPECT_EQ(Head("SSH-2.0\r\n\r\n"), Parsed::kError);
}

TEST_F(UpstreamResponseTest, EndsABodyByItsLength) {
  BeginBody("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(Body("abc", Taken::kMore), "abc");
  EXPECT_EQ(response_.remaining(), 2u);
  EXPECT_EQ(Body("de", Taken::kDone), "de");
  EXPECT_TRUE(response_.allows_next());
}

TEST_F(UpstreamResponseTest, CutsWhatIsTooLong) {
  BeginBody("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(Body("abc", Taken::kDoneTooLong), "ab");
}

TEST_F(UpstreamResponseTest, TakesTheFramingOffChunks) {
  BeginBody("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(response_.trailers(), nullptr);
  EXPECT_EQ(Body("2\r\nab\r\n1\r\nc", Taken::kMore), "abc");
  EXPECT_EQ(Body("\r\n0\r\nX-T: 1\r\n\r\n", Taken::kDone), "");
  ASSERT_NE(response_.trailers(), nullptr);
  EXPECT_EQ(response_.trailers()->size(), 1u);
}

TEST_F(UpstreamResponseTest, NoticesWhatComesAfterTheLastChunk) {
  BeginBody("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(Body("0\r\n\r\nHTTP/1.1", Taken::kDoneTooLong), "");
}

TEST_F(UpstreamResponseTest, BreaksOffAtWhatIsNoChunk) {
  BeginBody("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(Body("1\r\nab\r\n", Taken::kBroken), "a");
}

TEST_F(UpstreamResponseTest, ReadsToTheEndOfTheConnection) {
  BeginBody("HTTP/1.0 200 OK\r\n\r\n");
  EXPECT_EQ(Body("any", Taken::kMore), "any");
  EXPECT_FALSE(response_.allows_next());
}

TEST_F(UpstreamResponseTest, KeepsTheHeadAfterTheAttempt) {
  BeginBody("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: b\r\n\r\n");
  response_.Use();
  response_.EndAttempt();
  EXPECT_EQ(response_.answer(), UpstreamResponse::Answer::kHead);
  EXPECT_EQ(response_.head().headers.size(), 2u);
  response_.Reset();
  EXPECT_EQ(response_.answer(), UpstreamResponse::Answer::kNone);
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(UpstreamResponseTest, HoldsNoBlockWhileItWaits) {
  BeginBody("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  const size_t with_head = pool_.in_use();
  response_.RoomForBody(pool_, BlockSize::k64K);
  response_.ReleaseUnlessUsed();
  EXPECT_LE(pool_.in_use(), with_head);
}

}  // namespace
}  // namespace limpet::worker
