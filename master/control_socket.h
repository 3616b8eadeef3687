// The master's side of `limpet sessions`, `limpet drain` and the like: a Unix socket that takes one
// line and gives one back. For root and the master's own user alone: the file has mode 0600, and
// the kernel says who connects. Few clients, small requests, a deadline each: nobody can hold the
// master up, and nothing here waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"

namespace limpet::master {

class ControlSocket {
 public:
  using Answer = std::function<std::string(std::string_view line)>;
  static constexpr size_t kLongestRequest = 64 * 1024;  // a longer one is not answered

  explicit ControlSocket(Answer answer);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Listens at `path` ("" : nowhere), in place of whatever stood there and of an earlier path. The
  // new socket appears with its rights or not at all.
  Status Open(const std::string& path);
  void Close();   // the file goes, unless another process has put its own there
  void Forget();  // in a child: closes without removing anything

  int fd() const { return poll_.get(); }  // can be read from when Serve has work; -1: never
  void Serve(uint64_t now_ms);
  std::optional<uint64_t> NextDeadline() const;

 private:
  struct Client;

  bool IsOurs() const;
  void Accept(uint64_t now_ms);
  void WatchListener(bool wanted);
  void DropOne();
  bool Continue(Client& client);  // false: it is done with
  bool Read(Client& client);
  bool Write(Client& client);

  Answer answer_;
  UniqueFd poll_;  // of the listening socket and the clients
  UniqueFd listen_;
  std::string path_;
  uint64_t device_ = 0, inode_ = 0;           // of the file that we made
  std::optional<uint64_t> accepts_again_ms_;  // there was no descriptor for a client
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace limpet::master
