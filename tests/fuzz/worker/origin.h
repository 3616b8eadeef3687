// An upstream server on the loop of the worker that asks it: answers each connection's first bytes
// with what the test says, and keeps what it was sent.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "worker/net/loop.h"

namespace limpet::fuzz {

class Origin {
 public:
  explicit Origin(worker::Loop& loop);  // on a Unix socket of its own
  ~Origin();

  const std::string& path() const { return path_; }
  void Begin(std::string_view answer);        // forgets all connections before
  void CloseAll();                            // from our side: whatever is still awaited
  size_t received() const;                    // bytes, of all connections
  std::vector<std::string> Requests() const;  // by connection

 private:
  class Connection;
  void OnConnection();

  worker::Loop& loop_;
  std::string path_;
  UniqueFd listen_;
  worker::FdWatch watch_;
  std::string answer_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace limpet::fuzz
