// When a link tells its user what has become of it.
#include "worker/store/store_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {
namespace {

constexpr std::string_view kMaster = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";

// A Redis of which nothing is needed but that it is a master.
class Server {
 public:
  Server() : path_(testing::TempDir() + "limpet-link-" + std::to_string(::getpid())) {
    ::unlink(path_.c_str());
    const SocketAddress address = SocketAddress::Unix(path_);
    EXPECT_EQ(::bind(listener_.get(), address.get(), address.size()), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }
  ~Server() { ::unlink(path_.c_str()); }
  SocketAddress address() const { return SocketAddress::Unix(path_); }

  void Accept() { client_ = UniqueFd(::accept(listener_.get(), nullptr, nullptr)); }
  void Greet() {
    Accept();
    Say(kMaster);
  }
  void Leave() { client_.Reset(); }
  void Say(std::string_view text) {
    EXPECT_EQ(::write(client_.get(), text.data(), text.size()), std::ssize(text));
  }
  // What has come so far and was not taken before.
  std::string Take() {
    std::array<char, 4096> bytes;
    const ssize_t n = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return n > 0 ? std::string(bytes.data(), static_cast<size_t>(n)) : std::string();
  }

 private:
  const std::string path_;
  UniqueFd listener_{::socket(AF_UNIX, SOCK_STREAM, 0)};
  UniqueFd client_;
};

class LinkTest : public testing::Test, public StoreLink::User {
 protected:
  LinkTest() {
    conf_.servers.push_back({.name = "unix", .host = "", .addresses = {server_.address()}});
  }
  void OnUp() override { up_ = true; }
  void OnReply(RespReply& reply) override { replies_.push_back(reply.text); }
  void OnDown() override {
    down_ = true;
    EXPECT_FALSE(sending_) << "from within a call of the user's";
  }
  void RunUntil(const bool& done) {
    for (int i = 0; i < 100 && !done; ++i) loop_.RunOnce();
    ASSERT_TRUE(done);
  }

  Server server_;
  Loop loop_;
  conf::SessionStore conf_;
  bool up_ = false, down_ = false, sending_ = false;
  std::vector<std::string> replies_;
  StoreLink link_{{.loop = loop_, .conf = conf_},
                  {.patience = std::chrono::seconds(10), .limits = {}, .greeting = {}},
                  *this};
};

TEST_F(LinkTest, ALossThatSendingMeetsIsToldFromTheLoop) {
  link_.Start();
  server_.Greet();
  RunUntil(up_);
  server_.Leave();
  sending_ = true;
  link_.Send(RespCommand({"PING"}));
  link_.Push();
  sending_ = false;
  EXPECT_TRUE(link_.up());
  RunUntil(down_);
  EXPECT_FALSE(link_.up());
}

class ProbedLinkTest : public LinkTest {
 protected:
  explicit ProbedLinkTest(std::chrono::milliseconds patience = std::chrono::seconds(10))
      : quiet_({.loop = loop_, .conf = conf_},
               {.patience = patience,
                .limits = {},
                .greeting = {},
                .probe = probe_,
                .quiet = std::chrono::milliseconds(10)},
               *this) {}
  void Begin(std::string_view answer) {
    quiet_.Start();
    server_.Accept();
    server_.Say(answer);
    server_.Say(kMaster);
    RunUntil(up_);
    server_.Take();
  }
  // Until the server has been asked for something.
  std::string Asked() {
    std::string asked;
    for (int i = 0; i < 100 && asked.empty(); ++i) {
      loop_.RunOnce();
      asked = server_.Take();
    }
    return asked;
  }
  void RunOn(size_t replies) {
    for (int i = 0; i < 100 && replies_.size() < replies && !down_; ++i) loop_.RunOnce();
  }

  const std::string probe_ = RespCommand({"PTTL", "here"});
  StoreLink quiet_;
};

class QuietLinkTest : public ProbedLinkTest {
 protected:
  QuietLinkTest() { Begin(":-2\r\n"); }
};

class ImpatientLinkTest : public ProbedLinkTest {
 protected:
  ImpatientLinkTest() : ProbedLinkTest(std::chrono::milliseconds(200)) { Begin(":-2\r\n"); }
};

TEST_F(ProbedLinkTest, AServerThatHandsTheKeysOverIsUsedUntilItHasThemNoMore) {
  Begin("-ASK 3999 127.0.0.1:1\r\n");
  EXPECT_TRUE(quiet_.up());
}

TEST_F(QuietLinkTest, AServerThatIsAskedNothingIsAskedWhetherItIsThere) {
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Asked(), probe_);
    server_.Say(":-2\r\n");
  }
  EXPECT_TRUE(quiet_.up());
  EXPECT_TRUE(replies_.empty()) << "of what the user has not asked";
}

TEST_F(QuietLinkTest, AnAnswerBehindThatOfTheProbeIsTheUsers) {
  EXPECT_EQ(Asked(), probe_);
  quiet_.Send(RespCommand({"ECHO", "mine"}));
  quiet_.Push();
  server_.Say(":-2\r\n$4\r\nmine\r\n");
  RunOn(1);
  EXPECT_THAT(replies_, testing::ElementsAre("mine"));
}

TEST_F(ImpatientLinkTest, AServerThatIsSilentIsLostBeforeARequestNeedsIt) {
  EXPECT_EQ(Asked(), probe_);
  RunUntil(down_);
  EXPECT_EQ(quiet_.why(), "it does not answer");
}

TEST_F(QuietLinkTest, AServerThatHasGivenTheKeysAwayIsLeft) {
  EXPECT_EQ(Asked(), probe_);
  server_.Say("-MOVED 3999 127.0.0.1:1\r\n");
  RunUntil(down_);
  EXPECT_THAT(quiet_.why(), testing::HasSubstr("MOVED"));
}

}  // namespace
}  // namespace limpet::worker
