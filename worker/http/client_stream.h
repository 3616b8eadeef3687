// The client's side of an exchange, whatever the HTTP version: delivers the request body on demand
// and takes the response. Implemented by Http1Connection.
#pragma once

#include <netinet/tcp.h>

#include <cstdint>
#include <string_view>

#include "worker/http/request.h"
#include "worker/http/response.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {

class TlsTransport;

class ClientStream {
 public:
  virtual ~ClientStream() = default;

  virtual const ClientInfo& client() const = 0;

  // Request body: while wanted, OnBodyData/OnBodyEnd/OnBodyError of the exchange are called, maybe
  // before this returns.
  virtual void WantBody(bool wanted) = 0;
  virtual bool DropBufferedBody() = 0;  // throws away what has come of a body nobody wants; false:
                                        // it is malformed
  virtual void SendInterim(std::string_view /*head*/) {}  // a whole 1xx head before the response
  virtual void SendContinue() = 0;  // 100 (Continue), if the client waits for it and has not had it

  // Response. `body_kind`: how the writer has framed it (length, chunked, until close). Queued, not
  // written: Flush() does. Interim and final heads and body bytes, framed already, go into the
  // queue in their order.
  virtual OutputQueue& output() = 0;
  virtual bool can_splice() const = 0;     // output().AppendPipe is possible
  virtual bool blocked() const = 0;        // the client's socket takes no more now
  virtual void SetNoDelay(bool /*on*/) {}  // TCP_NODELAY, for what is queued from now on
  virtual void Flush() = 0;                // write now what can be written
  virtual void CloseAfterResponse() = 0;   // this connection cannot be kept
  virtual bool keep_alive() const = 0;
  virtual void FinishResponse() = 0;   // all is queued; the exchange ends when it has been written
  virtual void Abort(bool reset) = 0;  // close at once
  virtual uint64_t bytes_sent()
      const = 0;  // of this exchange: head and body, as written to the socket

  // For variables.
  virtual bool TcpInfo(tcp_info* /*out*/) const { return false; }  // false: not a TCP connection

  virtual const TlsTransport* tls() const = 0;  // null on a plain connection

  // After a 101: bytes flow both ways without HTTP.
  virtual void StartTunnel() = 0;
};

}  // namespace limpet::worker
