#include "worker/ocsp_fetch.h"

#include <utility>

#include "base/log.h"
#include "proto/http1/response_parser.h"
#include "worker/net/plain_transport.h"

namespace limpet::worker {

OcspFetch::OcspFetch(Loop& loop, Callback done)
    : loop_(loop), done_(done), tell_(loop, Callback::To<&OcspFetch::Tell>(this)) {}

OcspFetch::~OcspFetch() { Transport::Discard(std::move(transport_)); }

void OcspFetch::Start(const SocketAddress& address, std::string request) {
  Cancel();
  running_ = true;
  request_ = std::move(request);
  response_.clear();
  body_ = {};
  sent_ = 0;
  auto connecting = PlainTransport::Connect(loop_, address, {}, this);
  if (connecting.transport == nullptr)
    return Finish("connect() failed" + ErrnoText(connecting.errnum));
  transport_ = std::move(connecting.transport);
  if (connecting.errnum == 0) OnReady(0);
}

void OcspFetch::Cancel() {
  running_ = false;
  tell_.Cancel();
  Transport::Discard(std::move(transport_));
}

void OcspFetch::OnReady(int errnum) {
  if (errnum != 0) return Finish("connect() failed" + ErrnoText(errnum));
  transport_->WantRead(true);
  OnWritable();
}

void OcspFetch::OnWritable() {
  while (sent_ < request_.size()) {
    const iovec piece{request_.data() + sent_, request_.size() - sent_};
    size_t n = 0;
    const Io io = transport_->Writev(&piece, 1, false, &n);
    if (io == Io::kWouldBlock) return transport_->WantWrite(true);
    if (io != Io::kOk) return Finish("send() failed" + transport_->ErrorText());
    sent_ += n;
  }
}

void OcspFetch::OnReadable() {
  char bytes[4096];
  while (running_) {
    size_t n = 0;
    const Io io = transport_->Read(bytes, sizeof bytes, &n);
    if (io == Io::kWouldBlock) return;
    if (io == Io::kEof) return OnEnd();
    if (io == Io::kError) return Finish("recv() failed" + transport_->ErrorText());
    response_.append(bytes, n);
    if (response_.size() > kLongest) return Finish("OCSP responder sent too long a response");
  }
}

void OcspFetch::OnEnd() {
  proto::ResponseParser parser;
  if (parser.Parse(response_.data(), response_.size(), response_.size()) !=
      proto::HeadStatus::kComplete) {
    return Finish("OCSP responder prematurely closed connection or sent an invalid response");
  }
  if (parser.head().status != 200)
    return Finish("OCSP responder answered " + std::to_string(parser.head().status));
  body_ = std::string_view(response_).substr(parser.consumed());
  Finish({});
}

void OcspFetch::Finish(std::string failed) {
  running_ = false;
  failed_ = std::move(failed);
  Transport::Discard(std::move(transport_));
  tell_.Schedule();
}

}  // namespace limpet::worker
