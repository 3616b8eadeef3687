// An exchange whose client is the test: what it is told it keeps, as values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/http1/request_parser.h"
#include "tests/worker/http/client/client_fixture.h"
#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

class RecordingStream final : public ClientStream {
 public:
  explicit RecordingStream(const conf::ListenGroup& listen);

  // --- What the exchange has said ---
  std::vector<ResponseHead> heads;  // their views end with the exchange
  std::vector<int> interims;
  std::string body;
  std::string trailers;  // "name: value\n" each
  int continues = 0, ends = 0, finished = 0, broken = 0, aborted = 0, flushes = 0;
  bool wants_body = false;
  bool is_last = false;
  // --- How the client is ---
  uint64_t unsent = 0;  // bytes that it has not taken

  const ClientInfo& client() const override { return info_; }
  void WantBody(bool wanted) override { wants_body = wanted; }
  bool DropBufferedBody() override { return true; }
  void SendContinue() override { ++continues; }
  void SendInterim(int status, const proto::HeaderList&) override { interims.push_back(status); }
  void SendHead(const ResponseHead& head) override { heads.push_back(head); }
  void Write(BlockRef, std::string_view bytes) override { body += bytes; }
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override;
  void WriteEnd(const proto::HeaderList& fields) override;
  bool has_unsent() const override { return unsent > 0; }
  uint64_t unsent_memory() const override { return unsent; }
  bool blocked() const override { return unsent > 0; }
  void Flush() override { ++flushes; }
  void LastForClient() override { is_last = true; }
  bool keep_alive() const override { return !is_last; }
  void FinishResponse() override { ++finished; }
  void BreakResponse() override { ++broken; }
  void Abort(bool) override { ++aborted; }
  uint64_t bytes_sent() const override { return body.size(); }
  uint64_t head_bytes() const override { return 0; }
  const TlsTransport* tls() const override { return nullptr; }
  void StartTunnel() override {}

 private:
  ClientInfo info_;
};

class ExchangeTest : public ClientTest {
 protected:
  explicit ExchangeTest(std::string_view servers);
  ~ExchangeTest() override { exchange_.Reset(); }

  void Start(std::string_view request);  // its head, which ends with an empty line
  void Give(std::string_view bytes);     // of the body
  const ResponseHead& head() const { return stream_.heads.at(0); }

  RecordingStream stream_;
  Exchange exchange_;

 private:
  std::string text_;
  proto::RequestParser parser_;
};

}  // namespace limpet::worker
