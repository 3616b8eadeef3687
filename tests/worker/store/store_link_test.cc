// When a link tells its user what has become of it.
#include "worker/store/store_link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

namespace limpet::worker {
namespace {

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

  void Greet() {
    constexpr std::string_view kMaster = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    client_ = UniqueFd(::accept(listener_.get(), nullptr, nullptr));
    EXPECT_EQ(::write(client_.get(), kMaster.data(), kMaster.size()), std::ssize(kMaster));
  }
  void Leave() { client_.Reset(); }

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
  void OnReply(RespReply&) override {}
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

}  // namespace
}  // namespace limpet::worker
