// A client of the tests' own: takes what it gets, unless it is told not to, and tells how far the
// response has come.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "worker/http/exchange/null_stream.h"

namespace limpet::worker {

class FakeStream final : public NullStream {
 public:
  const ClientInfo& client() const override { return info; }
  void WantBody(bool wanted) override {
    wants_body = wanted;
    if (wanted && on_wanted) std::exchange(on_wanted, nullptr)();
  }
  void SendHead(const ResponseHead& head) override {
    status_ = head.status;
    for (const proto::Header& field : *head.fields) {
      fields_.append(field.name).append(": ").append(field.value).append("\r\n");
    }
  }
  void Write(BlockRef, std::string_view bytes) override { body_ += bytes; }
  bool blocked() const override { return is_blocked; }
  bool keep_alive() const override { return true; }
  void FinishResponse() override { end_ = "done"; }
  void BreakResponse() override { end_ = "broken"; }
  void Abort(bool) override { end_ = "aborted"; }
  const TlsTransport* tls() const override { return nullptr; }

  // "", "200", "502 done", "200 broken", "aborted".
  std::string Outcome() const {
    const std::string status = head_sent() ? std::to_string(status_) : "";
    return status + (!status.empty() && !end_.empty() ? " " : "") + end_;
  }
  bool head_sent() const { return status_ != 0; }
  const std::string& fields() const { return fields_; }  // "Name: value\r\n" …
  const std::string& body() const { return body_; }

  ClientInfo info;
  std::function<void()> on_wanted;  // what comes as soon as the body is wanted
  bool wants_body = false;
  bool is_blocked = false;

 private:
  int status_ = 0;
  std::string fields_, body_, end_;
};

}  // namespace limpet::worker
