// One database of addresses, opened: what a MaxMind DB file says of an address.
#pragma once

#include <maxminddb.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "worker/geo/record.h"

namespace limpet::worker {

class Database {
 public:
  // The file that `fd` names, whose bytes nobody may change as long as this lives. `fd` is kept.
  // With Check() once, by whoever has made the bytes; without it, they may be anything.
  static Result<std::unique_ptr<Database>> Open(UniqueFd fd);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // All of the file is sound; an error says what is not. Takes as long as reading all of it.
  Status Check(const std::atomic<bool>& stop) const;

  int64_t build_epoch() const { return static_cast<int64_t>(file_.metadata.build_epoch); }

  // A value as text: a view into the database, or into `digits`. Nothing if the address is not
  // there, its record has no such path, or a map or an array is at its end. `path` ends with a
  // null pointer.
  using Digits = std::array<char, 64>;
  std::optional<std::string_view> Find(const SocketAddress& address, const char* const* path,
                                       Digits* digits);

 private:
  explicit Database(UniqueFd fd) : fd_(std::move(fd)) {}
  bool Locate(const SocketAddress& address);
  mmdb::SearchTree tree() const;
  mmdb::Bytes data() const { return {file_.data_section, file_.data_section_size}; }

  UniqueFd fd_;
  MMDB_s file_{};
  bool opened_ = false;
  // The last address and its record: several variables ask for the same one.
  std::string last_;
  std::optional<size_t> found_;
};

}  // namespace limpet::worker
