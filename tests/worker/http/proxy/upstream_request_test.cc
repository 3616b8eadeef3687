#include "worker/http/proxy/upstream_request.h"

#include <gtest/gtest.h>

#include "tests/worker/http/proxy/fake_transport.h"

namespace limpet::worker {
namespace {

using Body = UpstreamRequest::Body;
using Sent = UpstreamRequest::Sent;

class UpstreamRequestTest : public testing::Test {
 protected:
  void Begin(Body body) {
    request_.EndAttempt();
    request_.Plan(body);
    BeginAttempt();
  }
  void BeginAttempt() {
    request_.BeginAttempt();
    request_.head().Append("HEAD ");
    request_.BeginBody();
  }
  Slice Piece(std::string_view text) {
    Slice piece{.block = pool_.Get(BlockSize::k16K), .bytes = {}};
    std::memcpy(piece.block.data(), text.data(), text.size());
    piece.bytes = {piece.block.data(), text.size()};
    return piece;
  }

  Loop loop_;
  BlockPool pool_;
  FakeTransport peer_{loop_};
  UpstreamRequest request_{pool_};
};

TEST_F(UpstreamRequestTest, IsDoneWhenAllOfAWholeOneHasLeft) {
  Begin(Body::kWhole);
  request_.Close();
  EXPECT_EQ(request_.half(), Half::kBody);
  EXPECT_EQ(request_.Flush(peer_), Sent::kAll);
  EXPECT_EQ(request_.half(), Half::kDone);
  EXPECT_TRUE(request_.all_sent());
  EXPECT_EQ(request_.bytes_sent(), 5u);
}

TEST_F(UpstreamRequestTest, MakesOneChunkOfThePiecesThatAreHere) {
  Begin(Body::kChunked);
  request_.Take(Piece("ab"));
  request_.Take(Piece("c"));
  request_.EndOfPieces();
  EXPECT_EQ(request_.Flush(peer_), Sent::kSoFar);
  request_.Take(Piece("d"));
  request_.Close();
  EXPECT_EQ(request_.Flush(peer_), Sent::kAll);
  EXPECT_EQ(peer_.output, "HEAD 3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
}

TEST_F(UpstreamRequestTest, PassesAStreamOnAsItIs) {
  Begin(Body::kStreamed);
  request_.Take(Piece("abc"));
  request_.EndOfPieces();
  EXPECT_EQ(request_.Flush(peer_), Sent::kSoFar);
  EXPECT_EQ(peer_.output, "HEAD abc");
}

TEST_F(UpstreamRequestTest, SaysWhenTheClientHasToWait) {
  peer_.room = 1;
  Begin(Body::kStreamed);
  EXPECT_EQ(request_.Flush(peer_), Sent::kBlocked);
  const std::string much(16 * 1024 - 64, 'x');
  for (int i = 0; i < 5; ++i) request_.Take(Piece(much));
  EXPECT_EQ(request_.Flush(peer_), Sent::kFull);
}

TEST_F(UpstreamRequestTest, NeverMakesAClientWaitForAWholeOne) {
  peer_.room = 1;
  Begin(Body::kWhole);
  request_.head().Append(std::string(100'000, 'x'));
  request_.Close();
  EXPECT_EQ(request_.Flush(peer_), Sent::kBlocked);
}

TEST_F(UpstreamRequestTest, TellsAClosedPeerFromAnError) {
  for (const int errnum : {EPIPE, ECONNRESET}) {
    Begin(Body::kWhole);
    peer_.write_error = errnum;
    EXPECT_EQ(request_.Flush(peer_), Sent::kClosed);
    EXPECT_EQ(request_.half(), Half::kDone);
    EXPECT_FALSE(request_.sending());
    EXPECT_FALSE(request_.all_sent()) << "the connection is of no more use";
  }
  Begin(Body::kWhole);
  peer_.write_error = ENOBUFS;
  EXPECT_EQ(request_.Flush(peer_), Sent::kFailed);
}

TEST_F(UpstreamRequestTest, CountsForEachPeerAnew) {
  Begin(Body::kWhole);
  request_.Close();
  request_.Flush(peer_);
  request_.EndAttempt();
  BeginAttempt();
  EXPECT_EQ(request_.bytes_sent(), 0u);
  EXPECT_EQ(request_.half(), Half::kBody);
  EXPECT_FALSE(request_.closed());
}

TEST_F(UpstreamRequestTest, EndsAsATunnelWithWhatTheClientSentLast) {
  Begin(Body::kWhole);
  request_.Close();
  request_.Flush(peer_);
  request_.BecomeTunnel();
  request_.Take(Piece("bytes"));
  EXPECT_EQ(request_.Flush(peer_), Sent::kSoFar);
  EXPECT_EQ(peer_.output, "HEAD bytes");
  peer_.room = 2;
  request_.Take(Piece(" last"));
  request_.Close();
  EXPECT_EQ(request_.Flush(peer_), Sent::kBlocked);
  peer_.room = 100;
  EXPECT_EQ(request_.Flush(peer_), Sent::kAll);
  EXPECT_EQ(peer_.output, "HEAD bytes last");
}

}  // namespace
}  // namespace limpet::worker
