// The client's side of an exchange, whatever the HTTP version: delivers the request body on demand
// and takes the response as values. Implemented by Http1Connection, Http2Stream and Subrequest.
//
// The response comes in this order: interim heads, the head, body bytes, the end. All of it is
// queued; Flush() writes. Values of heads have been checked: they end where they end.
#pragma once

#include <netinet/tcp.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/unique_fd.h"
#include "worker/http/exchange/request.h"
#include "worker/http/exchange/response_head.h"
#include "worker/net/buffer.h"

namespace limpet::worker {

class TlsTransport;

class ClientStream {
 public:
  virtual ~ClientStream() = default;

  virtual const ClientInfo& client() const = 0;

  // --- Request body ---
  // While wanted, OnBodyData/OnBodyEnd/OnBodyError of the exchange are called, maybe before this
  // returns.
  virtual void WantBody(bool wanted) = 0;
  virtual bool DropBufferedBody() = 0;  // throws away what has come of a body nobody wants; false:
                                        // it is malformed
  // Interim heads. Nothing is called back from here: that the client is gone is told later.
  virtual void SendContinue() = 0;  // 100 (Continue), if the client waits for it and has not had it

  // --- Response ---
  virtual void SendInterim(int /*status*/, const proto::HeaderList& /*fields*/) {}
  virtual void SendHead(const ResponseHead& head) = 0;
  // Bytes inside `block`, which is kept; without a block they are copied.
  virtual void Write(BlockRef block, std::string_view bytes) = 0;
  virtual void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) = 0;
  virtual bool can_splice() const { return false; }  // WritePipe is possible
  virtual void WritePipe(std::shared_ptr<const UniqueFd> /*read_end*/, uint64_t /*size*/) {}
  virtual void WriteEnd(const proto::HeaderList& trailers) = 0;  // after the last byte
  virtual bool has_unsent() const = 0;                           // something is queued
  virtual uint64_t unsent_memory() const = 0;                    // bytes queued, but those in files
  virtual bool blocked() const = 0;                              // the client takes no more now
  virtual void SetNoDelay(bool /*on*/) {}  // TCP_NODELAY, for what is queued from now on
  virtual void Flush() = 0;                // write now what can be written

  // --- The end ---
  virtual void LastForClient() = 0;  // the connection cannot be kept after this response
  virtual bool keep_alive() const = 0;
  virtual void FinishResponse() = 0;   // all is queued; the exchange ends when it has been written
  virtual void BreakResponse() = 0;    // likewise, but the client must see that the end is missing
  virtual void Abort(bool reset) = 0;  // end at once

  // --- For variables ---
  // Of this exchange, as written to the socket: head and body, framing included; and the head's.
  virtual uint64_t bytes_sent() const = 0;
  virtual uint64_t head_bytes() const = 0;
  virtual bool sent_all() const { return true; }  // nothing of what was queued was left or lost
  virtual bool TcpInfo(tcp_info* /*out*/) const { return false; }  // false: not a TCP connection
  virtual const TlsTransport* tls() const = 0;                     // null on a plain connection

  // After the head of a 101: bytes flow both ways without HTTP.
  virtual void StartTunnel() = 0;

  // A response comes soon. What it will need here is fetched (base/prefetch.h), and nothing else
  // happens.
  virtual void Fetch() const {}
};

}  // namespace limpet::worker
