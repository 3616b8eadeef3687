// RequestBody: kept in memory or in a file, passed on, thrown away, shared.
#include "worker/http/exchange/request_body.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/worker/http/exchange/exchange_fixture.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {
namespace {

// The location's own step waits for a subrequest: the body is the test's.
constexpr std::string_view kServers = R"(
  client_body_buffer_size 8k;
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    location /wait { auth_request /copy; alias @FILES@/page; }
    location /named { auth_request /copy; client_body_in_file_only clean; alias @FILES@/page; }
    location /copy { internal; proxy_pass http://app/; }
  }
)";

class Sink final : public RequestBodySink {
 public:
  void OnBodyReady() override { ++ready; }
  void OnBodyPiece(Slice piece) override { pieces += piece.bytes; }
  void OnBodyPause() override { ++pauses; }
  std::string pieces;
  int ready = 0, pauses = 0;
};

class RequestBodyTest : public ExchangeTest {
 protected:
  RequestBodyTest() : ExchangeTest(kServers) {}

  void Post(std::string_view path, size_t length) {
    Start(fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", path, length));
    ASSERT_EQ(exchange_.phase(), Phase::kDelayed);
  }
  RequestBody& body() { return exchange_.body(); }
  // What has been given back to the pool belongs to others now.
  void Overwrite() {
    std::vector<BlockRef> others;
    for (int i = 0; i < 8; ++i) {
      others.push_back(runtime().blocks.Get(BlockSize::k4K));
      std::memset(others.back().data(), 'x', others.back().capacity());
    }
  }
  // All of it, as an upstream would get it.
  std::string Sent(const RequestBody& from) {
    OutputQueue queue(runtime().blocks);
    from.AppendTo(&queue);
    Wire wire;
    const auto transport = MakeWire(loop(), &wire);
    EXPECT_EQ(queue.Flush(*transport), FlushResult::kDrained);
    return wire.Written();
  }

  Sink sink_;
};

TEST_F(RequestBodyTest, IsKeptInMemory) {
  Post("/wait", 6);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  EXPECT_TRUE(stream_.wants_body);
  EXPECT_EQ(stream_.continues, 1);
  Give("abc");
  Give("def");
  EXPECT_EQ(sink_.ready, 0);
  exchange_.OnBodyEnd();
  EXPECT_EQ(sink_.ready, 1);
  EXPECT_EQ(body().InMemory(), "abcdef");
  EXPECT_EQ(Sent(body()), "abcdef");
  EXPECT_EQ(Sent(body()), "abcdef");  // for another peer
  EXPECT_TRUE(body().whole());
  EXPECT_FALSE(body().in_file());
  body().LetGo();
}

TEST_F(RequestBodyTest, GoesToAFileWhenItIsLong) {
  Post("/wait", 9000);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give(std::string(8000, 'a'));
  EXPECT_FALSE(body().in_file());
  Give(std::string(1000, 'b'));
  EXPECT_TRUE(body().in_file());
  Give("c");
  exchange_.OnBodyEnd();
  EXPECT_EQ(Sent(body()), std::string(8000, 'a') + std::string(1000, 'b') + "c");
  EXPECT_EQ(body().InMemory(), "");
  EXPECT_NE(::access(std::string(body().file_path()).c_str(), F_OK), 0);  // without a name
  EXPECT_THAT(TakeLog(), testing::HasSubstr("buffered to a temporary file"));
  body().LetGo();
}

TEST_F(RequestBodyTest, GoesToANamedFileThatEndsWithTheRequest) {
  Post("/named", 3);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give("abc");
  exchange_.OnBodyEnd();
  const std::string path{body().file_path()};
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  body().LetGo();
  exchange_.Reset();
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(RequestBodyTest, IsPassedOnAsItComes) {
  Post("/wait", 6);
  body().Start(RequestBody::Mode::kStreamed, &sink_);
  Give("abc");
  EXPECT_EQ(sink_.pieces, "abc");
  EXPECT_EQ(sink_.pauses, 1);
  body().Pause(true);
  EXPECT_FALSE(stream_.wants_body);
  body().Pause(false);
  EXPECT_TRUE(stream_.wants_body);
  Give("def");
  exchange_.OnBodyEnd();
  EXPECT_EQ(sink_.pieces, "abcdef");
  EXPECT_EQ(sink_.ready, 1);
  EXPECT_TRUE(body().whole());  // small enough to be sent again
  body().LetGo();
}

TEST_F(RequestBodyTest, IsForgottenWhenALongOneIsPassedOn) {
  Post("/wait", 9000);
  body().Start(RequestBody::Mode::kStreamed, &sink_);
  Give(std::string(8000, 'a'));
  EXPECT_TRUE(body().whole());
  Give(std::string(1000, 'b'));
  EXPECT_FALSE(body().whole());
  EXPECT_EQ(body().size(), 9000u);
  body().LetGo();
}

TEST_F(RequestBodyTest, WhatHasBeenSeenOfItStaysWhenItIsForgotten) {
  for (const auto mode : {RequestBody::Mode::kStreamed, RequestBody::Mode::kBuffered}) {
    Post("/wait", 9000);
    body().Start(mode, &sink_);
    Give(std::string(3000, 'a'));
    const std::string_view seen = body().InMemory();
    Give(std::string(6000, 'b'));
    EXPECT_EQ(body().InMemory(), "");
    Overwrite();
    EXPECT_EQ(seen, std::string(3000, 'a'));
    body().LetGo();
    exchange_.Reset();
  }
}

TEST_F(RequestBodyTest, StaysInSightWhenItHasFailed) {
  Post("/wait", 9000);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give(std::string(3000, 'a'));
  const std::string_view seen = body().InMemory();
  body().Fail();
  Overwrite();
  EXPECT_EQ(seen, std::string(3000, 'a'));
}

TEST_F(RequestBodyTest, IsNotReadWhenItIsThrownAway) {
  Post("/wait", 6);
  body().Start(RequestBody::Mode::kDiscarded, nullptr);
  EXPECT_FALSE(stream_.wants_body);
  EXPECT_EQ(stream_.continues, 0);
  EXPECT_FALSE(body().whole());
}

TEST_F(RequestBodyTest, IsReadOnlyOnce) {
  Post("/wait", 3);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give("abc");
  exchange_.OnBodyEnd();
  stream_.wants_body = false;
  body().Start(RequestBody::Mode::kBuffered, &sink_);  // after an internal redirect
  EXPECT_EQ(sink_.ready, 2);
  EXPECT_FALSE(stream_.wants_body);
  body().LetGo();
}

TEST_F(RequestBodyTest, IsReadyAtOnceWithoutOne) {
  Start("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  EXPECT_EQ(sink_.ready, 1);
  EXPECT_TRUE(body().complete());
  body().LetGo();
}

TEST_F(RequestBodyTest, MayBeShared) {
  Post("/wait", 3);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give("abc");
  exchange_.OnBodyEnd();
  Exchange other(runtime());
  other.body().Share(body());
  body().LetGo();
  body().Reset();
  EXPECT_EQ(Sent(other.body()), "abc");
  EXPECT_TRUE(other.body().complete());
  other.body().Reset();
}

TEST_F(RequestBodyTest, IsOfNoUseOnceItHasFailed) {
  Post("/wait", 6);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  Give("abc");
  body().Fail();
  EXPECT_EQ(body().size(), 0u);
  EXPECT_FALSE(body().whole());
  EXPECT_EQ(sink_.ready, 0);
  EXPECT_TRUE(body().quiet());
}

// While it lives, files take `size` bytes.
class FullDisk {
 public:
  explicit FullDisk(rlim_t size) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{.rlim_cur = size, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(RequestBodyTest, LeavesNoFileBehindWhenTheDiskIsFull) {
  Post("/named", 6);
  body().Start(RequestBody::Mode::kBuffered, &sink_);
  {
    const FullDisk full(2);
    Give("abcdef");
  }
  const std::filesystem::path path = body().file_path();
  exchange_.OnBodyEnd();
  ASSERT_EQ(head().status, 500);
  size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(path.parent_path()))
    ++files;
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(files, 1u);  // the page
}

}  // namespace
}  // namespace limpet::worker
