// Writes a head straight into an output queue, without a string in between. What does not fit into
// the room at hand goes on in new room. AddField is the door for values: what goes in by Add is our
// own text, or has been encoded for its place.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proto/headers.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {

class HeadComposer {
 public:
  // `expected`: the head's probable size; more is no error.
  HeadComposer(OutputQueue* queue, size_t expected) : queue_(queue) { MakeRoom(expected); }
  ~HeadComposer() { Commit(); }
  HeadComposer(const HeadComposer&) = delete;
  HeadComposer& operator=(const HeadComposer&) = delete;

  void Add(std::string_view text) {
    if (text.size() > static_cast<size_t>(end_ - at_)) return AddSlowly(text);
    Put(text);
  }
  template <class... Parts>
  void Add(std::string_view first, const Parts&... rest) {
    Add(first);
    (Add(std::string_view(rest)), ...);
  }
  // A field whose value is fit (IsFieldValue). Inlined, so that a name of ours is copied as a
  // constant.
  [[gnu::always_inline]] void AddFitField(std::string_view name, std::string_view value) {
    if (name.size() + value.size() + 4 > static_cast<size_t>(end_ - at_))
      return Add(name, ": ", value, "\r\n");
    Put(name);
    Put(": ");
    Put(value);
    Put("\r\n");
  }
  // False, and nothing is added, if the value would not end where it ends.
  [[nodiscard]] bool AddField(std::string_view name, std::string_view value) {
    if (!proto::IsFieldValue(value)) {
      const auto line = proto::UnfoldFieldValue(value);
      return line && AddField(name, *line);
    }
    AddFitField(name, value);
    return true;
  }
  [[nodiscard]] bool AddField(const proto::Header& field) {
    if (!field.fit) return AddField(field.name, field.value);
    AddFitField(field.name, field.value);
    return true;
  }
  void AddNumber(uint64_t n) {
    char digits[20];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, n);
    Add(std::string_view(digits, static_cast<size_t>(end - digits)));
  }

 private:
  static constexpr size_t kMaxRoom = 4000;  // of OutputQueue::Reserve

  void MakeRoom(size_t size) {
    const size_t room = size < kMaxRoom ? size : kMaxRoom;
    at_ = start_ = queue_->Reserve(room);
    end_ = start_ + room;
  }
  void Commit() {
    if (at_ != start_) queue_->Commit(static_cast<size_t>(at_ - start_));
    start_ = at_;
  }
  [[gnu::always_inline]] void Put(std::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  [[gnu::cold]] void AddSlowly(std::string_view text) {
    Commit();
    if (text.size() >= kMaxRoom / 2) {
      queue_->Append(text);
      MakeRoom(kMaxRoom / 4);
    } else {
      MakeRoom(kMaxRoom / 2);
      Add(text);
    }
  }

  OutputQueue* queue_;
  char* start_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace limpet::worker
