#include "tests/worker/http/exchange/exchange_fixture.h"

#include <unistd.h>

#include <cstring>

#include "proto/http1/framing.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {

RecordingStream::RecordingStream(const conf::ListenGroup& listen) {
  info_.listen = &listen;
  info_.remote = *SocketAddress::ParseIp("127.0.0.2", 1234);
  info_.remote_host = info_.remote.HostString();
}

void RecordingStream::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  EXPECT_EQ(::pread(file->get(), bytes.data(), size, offset), static_cast<ssize_t>(size));
  body += bytes;
}

void RecordingStream::WriteEnd(const proto::HeaderList& fields) {
  ++ends;
  for (const proto::Header& field : fields) {
    trailers.append(field.name).append(": ").append(field.value) += '\n';
  }
}

ExchangeTest::ExchangeTest(std::string_view servers)
    : ClientTest(servers), stream_(runtime().http.listens[0]), exchange_(runtime()) {}

void ExchangeTest::Start(std::string_view request) {
  text_ = request;
  parser_.Reset();
  ASSERT_EQ(parser_.Parse(text_.data(), text_.size(), runtime().names[0]->head_limits()),
            proto::HeadStatus::kComplete);
  const proto::RequestHead& head = parser_.head();
  exchange_.Start(stream_, head, proto::RequestFraming(head), text_.size());
  Settle();
}

void ExchangeTest::Give(std::string_view bytes) {
  BlockRef block = runtime().blocks.Get(bytes.size() <= 4000 ? BlockSize::k4K : BlockSize::k64K);
  std::memcpy(block.data(), bytes.data(), bytes.size());
  const std::string_view kept(block.data(), bytes.size());
  exchange_.OnBodyData({std::move(block), kept});
  exchange_.OnBodyPause();
}

}  // namespace limpet::worker
