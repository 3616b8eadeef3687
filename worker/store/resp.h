// Commands and replies of Redis (RESP2), over hiredis, without I/O. The server is not trusted with
// memory: what a reply may hold is bounded before it is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace limpet::worker {

std::string RespCommand(std::initializer_list<std::string_view> words);

struct RespReply {
  enum class Type : uint8_t { kNil, kStatus, kError, kInteger, kString, kArray };
  Type type = Type::kNil;
  std::string text;  // of kStatus, kError, kString
  int64_t integer = 0;
  std::vector<RespReply> elements;
};

class RespReader {
 public:
  struct Limits {
    size_t text = 512;          // bytes of a string, an error or a status
    size_t elements = 1024;     // of one array
    size_t depth = 5;           // arrays within arrays; 7 at the most
    size_t bytes = 512 * 1024;  // of one reply as a whole
  };
  enum class Status : uint8_t { kReply, kMore, kError };

  explicit RespReader(const Limits& limits);
  ~RespReader();
  RespReader(const RespReader&) = delete;
  RespReader& operator=(const RespReader&) = delete;

  // Ask for the next reply until there is none before more is fed: what waits is bounded, too.
  // After an error nothing more is taken.
  void Feed(std::string_view bytes);
  // `reply` is set for kReply only.
  Status Next(RespReply* reply);
  const std::string& error() const { return error_; }  // for people, of kError

 private:
  struct Builder;

  Status Fail(std::string why);

  const Limits limits_;
  std::unique_ptr<Builder> builder_;
  std::string error_;
};

}  // namespace limpet::worker
