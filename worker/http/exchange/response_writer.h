// Hands a Response to the client stream: its head as values, checked here once, and its body.
// Filters are called here and nowhere else: lines of SendHead (hooks.h) and the links of the body
// chain, each in a file of its own.
#pragma once

#include <memory>
#include <string_view>

#include "base/unique_fd.h"
#include "worker/http/exchange/response_head.h"
#include "worker/net/buffer.h"

namespace limpet::worker {

class Exchange;

// A link of the body chain: what comes in may be changed and goes on to `next`. Bytes of `Write`
// inside `block` are kept alive by it; an empty block means that they outlive the exchange's end
// (arena, static). A link may hold back what comes in while who comes after it has no room.
class BodyFilter {
 public:
  virtual ~BodyFilter() = default;
  virtual void Write(BlockRef block, std::string_view bytes) = 0;
  virtual void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) = 0;
  virtual void Flush() = 0;  // all that came in so far should reach the client soon
  virtual void End() = 0;    // after the last byte; exactly once
  // Instead of End(): the rest is lost, and the body must not look complete.
  virtual void OnBroken(std::string_view /*why*/) {}
  virtual bool HasRoom() const { return true; }     // for more bytes in memory
  virtual bool HoldsBack() const { return false; }  // something has not gone on yet
  virtual void Pump() {}  // goes on with what is held back, as far as there is room
};

// The links in front of the writer; the writer itself is the last one.
struct BodyChain {
  std::unique_ptr<BodyFilter> filter;       // compresses, or cuts ranges out
  std::unique_ptr<BodyFilter> text_filter;  // before it: replaces texts
  std::unique_ptr<BodyFilter> unpacker;     // before all others: gunzip
  BodyFilter* first = nullptr;
};

class ResponseWriter final : public BodyFilter {
 public:
  explicit ResponseWriter(Exchange& exchange);
  ~ResponseWriter() override;
  void Reset();

  // Runs the head filters over exchange.response(), decides the framing and queues the head. False
  // if a filter has replaced the response by another (a 412 or 416 page): the caller must not write
  // a body.
  bool SendHead();
  bool head_sent() const { return head_sent_; }

  // The body, after SendHead; does nothing where the response has none (HEAD, 304).
  void WriteBody(BlockRef block, std::string_view bytes) {
    chain_.first->Write(std::move(block), bytes);
  }
  void WriteBodyFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
    chain_.first->WriteFile(std::move(file), offset, size);
  }
  // Body bytes that wait in a pipe. Only where nothing wants to see them: CanSplice().
  void WriteBodyPipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size);
  bool CanSplice() const;
  void FlushBody() { chain_.first->Flush(); }
  void EndBody() { chain_.first->End(); }
  // The client has taken some: filters go on with what they hold back. BodyHoldsBack(): they hold
  // something back, and more of a body would only wait with it.
  void PumpBody() { chain_.first->Pump(); }
  bool BodyHoldsBack() const { return chain_.first->HoldsBack(); }

  bool ended() const { return ended_; }  // all of the response has been handed over
  bool is_filtered() const { return chain_.first != this; }  // bytes must pass through memory
  BodyFilter* filter() { return chain_.filter.get(); }

  // BodyFilter: the chain's end.
  void Write(BlockRef block, std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override;
  void Flush() override {}  // the exchange's Flush() writes
  void End() override;
  void OnBroken(std::string_view why) override;
  bool HasRoom() const override;

 private:
  void DropWhatStatusForbids();
  bool AddFields();
  bool IsReplacedAfterFailedMatch();
  void DecideFraming();
  ResponseHead HeadValues();

  Exchange& exchange_;
  BodyChain chain_;
  bool head_sent_ = false;
  bool ended_ = false;
  bool refused_ = false;  // this is the 500 for a head that could not be as it was meant
};

}  // namespace limpet::worker
