// An upstream server on the loop of the worker that asks it. It keeps what it is sent, and says
// what the test wants when the test wants it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class HeldOrigin {
 public:
  explicit HeldOrigin(Loop& loop);  // on a Unix socket of its own
  ~HeldOrigin();

  const std::string& path() const { return path_; }
  size_t connections() const { return connections_.size(); }  // that have ever been made
  bool asked() const { return !connections_.empty() && connections_.back()->open; }

  // All of this is of the last connection.
  const std::string& received() const { return connections_.back()->received; }
  void Answer(std::string_view bytes);
  void Close();

 private:
  struct Connection {
    Connection(Loop& loop, UniqueFd socket);
    void OnReadable();
    void Close();

    UniqueFd fd;
    FdWatch watch;
    std::string received;
    bool open = true;
  };
  void OnConnection();

  Loop& loop_;
  std::string path_;
  UniqueFd listen_;
  FdWatch watch_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace limpet::worker
