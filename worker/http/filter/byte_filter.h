// A link of the body chain that must see the bytes: what comes as a part of a file is read here and
// goes the way of everything else. It works only while who comes after it has room. What cannot be
// worked on yet waits, so that no filter runs ahead of its client, however much it makes of little.
#pragma once

#include <memory>
#include <vector>

#include "worker/http/exchange/response_writer.h"
#include "worker/net/slice.h"

namespace limpet::worker {

class ByteFilter : public BodyFilter {
 public:
  void Write(BlockRef block, std::string_view bytes) final;
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) final;
  void Flush() final;
  void End() final;
  void OnBroken(std::string_view why) final { next_->OnBroken(why); }
  void Pump() final;
  bool HasRoom() const final { return Idle() && next_->HasRoom(); }
  bool HoldsBack() const final;

 protected:
  // Both must outlive the filter.
  ByteFilter(BlockPool& pool, BodyFilter* next) : pool_(pool), next_(next) {}

  // Takes bytes (or none, if it Owes() output) and gives on what comes of them, not much more than
  // a block of it. How many were taken; the rest comes again.
  virtual size_t Take(std::string_view bytes) = 0;
  virtual bool Owes() const { return false; }  // more will come of what was taken
  virtual void GiveAll() {}                    // of what was taken: the client waits for it
  virtual bool GiveEnd() = 0;                  // the last bytes; false: again, there are more
  void Break(std::string_view why);            // nothing more comes of it, nor does an end

  BlockPool& pool_;
  BodyFilter* next_;

 private:
  struct Piece {
    Slice slice;
    std::shared_ptr<const UniqueFd> file;  // whose range follows the slice
    off_t offset = 0;
    uint64_t size = 0;
  };

  bool Idle() const { return first_ == pieces_.size() && !Owes(); }
  void Wait(Piece piece);
  bool Step();
  void WorkOn(Piece& piece);
  bool ReadFile(Piece& piece);
  bool StepToEnd();

  std::vector<Piece> pieces_;  // those that wait start at first_
  size_t first_ = 0;
  SliceJoiner joiner_;
  bool flush_ = false;   // once nothing waits
  bool ending_ = false;  // then, too
  bool ended_ = false;
};

}  // namespace limpet::worker
