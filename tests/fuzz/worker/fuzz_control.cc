// A line to the control socket: whatever comes, one line of JSON goes back that the command line
// can show, and a line that only asks changes nothing.
#include <algorithm>
#include <string>
#include <vector>

#include "shm/peer_state_registry.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shm/table_fixture.h"
#include "worker/control.h"

using namespace limpet;

namespace {

constexpr const char* kText = R"(
  events {}
  http {
    upstream app {
      zone app 64k;
      server 10.0.0.1:80;
      server 10.0.0.2:80 route=two;
      server 10.0.0.3:80 backup;
      sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=sessions:32k;
    }
    server { listen 127.0.0.1:80; location / { proxy_pass http://app; } }
  }
)";

const conf::Config& Configuration() {
  static const auto config = *conf::LoadText(kText, {.prefix = "/nowhere/", .file = "t.conf"});
  return *config;
}

// All that an answer is made of and that a line may change; made anew for each input.
class Daemon {
 public:
  Daemon()
      : sessions_(shm::SessionTable::kMinBytes),
        peers_(registry_.Attach("app", worker::PeerIdentities(upstream()))) {
    uint64_t session = 0;
    for (const std::string& id : worker::ServerIds(upstream(), nullptr)) {
      sessions_.Learn(++session, sessions_.table.PeerIndex(id));
    }
    environment_.config = &Configuration();
    environment_.counters = &counters_;
    environment_.sessions = {&sessions_.table};
    environment_.peer_states = {peers_.get()};
  }

  std::string Answer(std::string_view line) { return worker::AnswerControl(environment_, line); }

  std::string State() const {
    std::string text = std::to_string(sessions_.table.Live());
    for (size_t i = 0; i < peers_->size(); ++i) {
      text += " " + std::to_string((*peers_)[i].standing().flags.load());
      text += " " + std::to_string((*peers_)[i].standing().drain_until_ms.load());
    }
    return text;
  }

 private:
  static const conf::Upstream& upstream() { return *Configuration().http->upstreams[0]; }

  shm::Counters counters_;
  shm::TestTable sessions_;
  shm::PeerStateRegistry registry_;
  std::unique_ptr<shm::PeerStates> peers_;
  worker::Environment environment_;
};

// With a backslash any method could be spelt.
bool MayChange(std::string_view line) {
  for (const std::string_view word : {"PATCH", "POST", "PUT", "DELETE", "\\"}) {
    if (line.find(word) != line.npos) return true;
  }
  return false;
}

}  // namespace

FUZZ_TARGET(control, input) {
  const std::string line(input.substr(0, input.find('\n')));
  Daemon daemon;
  const std::string before = daemon.State();
  const std::string answer = daemon.Answer(line);
  FUZZ_CHECK(answer.ends_with('\n') && std::ranges::count(answer, '\n') == 1, "not one line");
  const auto shown = worker::ShowReply({.words = {"status"}, .deadline = {}, .json = true}, answer);
  FUZZ_CHECK(shown.text != "the daemon's answer makes no sense", "not an answer");
  for (const char* word : {"status", "sessions", "servers", "drain", "forget"}) {
    for (const std::string_view reply : {std::string_view(answer), std::string_view(line)}) {
      (void)worker::ShowReply({.words = {word}, .deadline = {}}, reply);  // whoever has sent it
    }
  }
  if (!MayChange(line)) FUZZ_CHECK(daemon.State() == before, "a question has changed something");
}
