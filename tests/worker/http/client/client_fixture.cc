#include "tests/worker/http/client/client_fixture.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/worker/http/client/still_clock.h"

namespace limpet::worker {
namespace {

std::string NewFolder() {
  std::string name = testing::TempDir() + "limpet-client.XXXXXX";
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  std::ofstream(name + "/page") << "a page\n";
  return name;
}

void Replace(std::string* text, std::string_view what, std::string_view with) {
  for (size_t at; (at = text->find(what)) != std::string::npos;)
    text->replace(at, what.size(), with);
}

std::unique_ptr<const conf::Config> Load(const std::string& text) {
  auto config = conf::LoadText(text, {.prefix = "/nowhere/", .file = "t.conf"});
  if (!config) throw std::runtime_error(config.error().message);
  return std::move(*config);
}

}  // namespace

ClientTest::ClientTest(std::string_view servers)
    : folder_(NewFolder()),
      origin_(std::make_unique<HeldOrigin>(loop_)),
      runtime_(loop_, Load(Place(servers)), &log_) {
  connections_ = std::make_unique<ConnectionSet>(*runtime_);
}

ClientTest::~ClientTest() {
  connections_->CloseAll();
  Settle();
  CheckNothingIsLeft();
  std::filesystem::remove_all(folder_);
}

std::string ClientTest::Place(std::string_view servers) const {
  std::string text =
      fmt::format("events {{}} http {{ client_body_temp_path {};\n{}\n}}", folder_, servers);
  Replace(&text, "@ORIGIN@", origin_->path());
  Replace(&text, "@FILES@", folder_);
  return text;
}

void ClientTest::AddFile(std::string_view name, std::string_view bytes) {
  std::ofstream(fmt::format("{}/{}", folder_, name)) << bytes;
}

Wire& ClientTest::Connect(size_t listen) {
  ClientInfo info;
  info.number = runtime_->next_connection_number();
  info.listen = &runtime_->http.listens[listen];
  info.remote = *SocketAddress::ParseIp("127.0.0.2", 1234);
  info.remote_host = info.remote.HostString();
  info.started_ms = loop_.NowMs();
  Wire& wire = *wires_.emplace_back(std::make_unique<Wire>());
  connections_->Add(MakeWire(loop_, &wire), std::move(info));
  Settle();
  return wire;
}

void ClientTest::Settle() {
  constexpr int kPasses = 16;  // a request to the origin and back is fewer
  for (int i = 0; i < kPasses; ++i) {
    wake_.Schedule();  // the pass does not wait
    loop_.RunOnce();
  }
}

void ClientTest::Advance(uint64_t ms) {
  MoveClock(ms);
  Settle();
}

void ClientTest::Send(std::string_view bytes) {
  wire().Give(bytes);
  Settle();
}

void ClientTest::NeedPlace() {
  static const Log quiet;
  loop_.places().Limit(1, quiet);
  loop_.places().MakeRoom();
  loop_.places().Limit(SIZE_MAX, quiet);
  Settle();
}

void ClientTest::StopGently() {
  runtime_->stopping = true;
  connections_->Drain([this] { drained_ = true; });
  Settle();
}

void ClientTest::StopNow() {
  connections_->CloseAll();
  Settle();
}

void ClientTest::CheckNothingIsLeft() {
  const shm::WorkerCounters& counts = counters();
  EXPECT_EQ(connections_->size(), 0u);
  EXPECT_EQ(counts.active, 0);
  EXPECT_EQ(counts.waiting, 0);
  EXPECT_EQ(counts.reading, 0);
  EXPECT_EQ(counts.writing, 0);
  EXPECT_EQ(runtime_->blocks.in_use(), 0u);
  for (const auto& upstream : runtime_->upstreams) {
    for (const Peer& peer : upstream->group.peers()) EXPECT_EQ(peer.conns(), 0u);
  }
}

}  // namespace limpet::worker
