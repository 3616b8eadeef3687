#include "worker/store/resp.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#include <charconv>
#include <new>
#include <utility>

namespace limpet::worker {
namespace {

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
using ReaderPtr = std::unique_ptr<redisReader, FreeReader>;

constexpr size_t kLongestNumber = 24;  // a line that should hold one

RespReply::Type TypeOf(const redisReadTask& task) {
  switch (task.type) {
    case REDIS_REPLY_STATUS:
      return RespReply::Type::kStatus;
    case REDIS_REPLY_ERROR:
      return RespReply::Type::kError;
    default:
      return RespReply::Type::kString;
  }
}

}  // namespace

std::string RespCommand(std::initializer_list<std::string_view> words) {
  std::vector<const char*> starts;
  std::vector<size_t> sizes;
  for (const std::string_view word : words) {
    starts.push_back(word.empty() ? "" : word.data());
    sizes.push_back(word.size());
  }
  char* formatted = nullptr;
  const int size = redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), starts.data(),
                                          sizes.data());
  if (size < 0) throw std::bad_alloc();
  std::string command(formatted, static_cast<size_t>(size));
  redisFreeCommand(formatted);
  return command;
}

// hiredis reads, and asks for an object for each part of a reply. Its own objects take the memory
// that the peer announces; these grow with what has come. Always: an array does not grow while one
// of its elements is being built, so pointers into it stay valid.
struct RespReader::Builder {
  explicit Builder(const Limits& its_limits);

  // What hiredis calls. Null: it gives up.
  static void* CreateText(const redisReadTask* task, char* text, size_t size) noexcept;
  static void* CreateArray(const redisReadTask* task, int elements) noexcept;
  static void* CreateInteger(const redisReadTask* task, long long value) noexcept;
  static void* CreateNil(const redisReadTask* task) noexcept { return Of(task).Place(task); }
  static void FreeNothing(void*) noexcept {}  // the builder owns them
  static redisReplyObjectFunctions kFunctions;

  static Builder& Of(const redisReadTask* task) { return *static_cast<Builder*>(task->privdata); }
  RespReply* Place(const redisReadTask* task);
  std::nullptr_t Refuse(std::string why);
  std::nullptr_t RefuseText() {
    return Refuse(fmt::format("a text of more than {} bytes", limits.text));
  }

  size_t Unread() const { return reader->len - reader->pos; }
  void JudgePart();

  const Limits& limits;
  ReaderPtr reader;
  RespReply root;
  std::string refused;    // why; hiredis would say that it is out of memory
  size_t begun_with = 0;  // bytes fed since the reply began, those that are unread included
};

redisReplyObjectFunctions RespReader::Builder::kFunctions = {CreateText, CreateArray, CreateInteger,
                                                             CreateNil, FreeNothing};

RespReader::Builder::Builder(const Limits& its_limits)
    : limits(its_limits), reader(redisReaderCreateWithFunctions(&kFunctions)) {
  if (reader == nullptr) throw std::bad_alloc();
  reader->privdata = this;
}

RespReply* RespReader::Builder::Place(const redisReadTask* task) {
  if (task->parent == nullptr) return &(root = {});
  return &static_cast<RespReply*>(task->parent->obj)->elements.emplace_back();
}

std::nullptr_t RespReader::Builder::Refuse(std::string why) {
  refused = std::move(why);
  return nullptr;
}

void* RespReader::Builder::CreateText(const redisReadTask* task, char* text, size_t size) noexcept {
  Builder& self = Of(task);
  if (size > self.limits.text) return self.RefuseText();
  RespReply* reply = self.Place(task);
  reply->type = TypeOf(*task);
  reply->text.assign(text, size);
  return reply;
}

void* RespReader::Builder::CreateArray(const redisReadTask* task, int elements) noexcept {
  Builder& self = Of(task);
  if (static_cast<size_t>(elements) > self.limits.elements) {
    return self.Refuse(fmt::format("an array of more than {} elements", self.limits.elements));
  }
  size_t depth = 1;
  for (const redisReadTask* above = task->parent; above != nullptr; above = above->parent) ++depth;
  if (depth > self.limits.depth) {
    return self.Refuse(fmt::format("arrays more than {} deep", self.limits.depth));
  }
  RespReply* reply = self.Place(task);
  reply->type = RespReply::Type::kArray;
  return reply;
}

void* RespReader::Builder::CreateInteger(const redisReadTask* task, long long value) noexcept {
  RespReply* reply = Of(task).Place(task);
  reply->type = RespReply::Type::kInteger;
  reply->integer = value;
  return reply;
}

// What is too long is known before it has come: hiredis asks for a text when it is whole.
void RespReader::Builder::JudgePart() {
  if (reader->ridx < 0) return;
  const std::string_view part(reader->buf + reader->pos, Unread());
  switch (reader->rstack[reader->ridx].type) {
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      if (part.size() > limits.text + 1) RefuseText();  // one of the line's end
      return;
    case REDIS_REPLY_STRING:
      if (const size_t end = part.find("\r\n"); end != part.npos) {
        long long size = 0;  // a number: hiredis has looked
        std::from_chars(part.data(), part.data() + end, size);
        if (size > 0 && static_cast<size_t>(size) > limits.text) RefuseText();
        return;
      }
      break;
    default:
      break;
  }
  if (part.size() > kLongestNumber) Refuse("a number that does not end");
}

RespReader::RespReader(const Limits& limits)
    : limits_(limits), builder_(std::make_unique<Builder>(limits_)) {}

RespReader::~RespReader() = default;

void RespReader::Feed(std::string_view bytes) {
  if (!error_.empty()) return;
  if (builder_->Unread() > limits_.bytes) {
    Fail(fmt::format("more than {} bytes of replies that nobody has asked for", limits_.bytes));
    return;
  }
  builder_->begun_with += bytes.size();
  redisReaderFeed(builder_->reader.get(), bytes.data(), bytes.size());
}

RespReader::Status RespReader::Next(RespReply* reply) {
  if (!error_.empty()) return Status::kError;
  Builder& builder = *builder_;
  void* whole = nullptr;
  const bool read = redisReaderGetReply(builder.reader.get(), &whole) == REDIS_OK;
  if (!builder.refused.empty()) return Fail(std::move(builder.refused));
  if (!read) return Fail(builder.reader->errstr);

  const size_t behind = whole != nullptr ? builder.Unread() : 0;  // of the next replies
  if (builder.begun_with - behind > limits_.bytes) {
    return Fail(fmt::format("a reply of more than {} bytes", limits_.bytes));
  }
  if (whole == nullptr) {
    builder.JudgePart();
    return builder.refused.empty() ? Status::kMore : Fail(std::move(builder.refused));
  }
  builder.begun_with = behind;
  *reply = std::exchange(builder.root, {});
  return Status::kReply;
}

// The reader's memory is given back: the connection is of no use any more.
RespReader::Status RespReader::Fail(std::string why) {
  error_ = std::move(why);
  builder_.reset();
  return Status::kError;
}

}  // namespace limpet::worker
