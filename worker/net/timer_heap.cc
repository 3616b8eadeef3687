#include "worker/net/timer_heap.h"

#include <algorithm>

#include "worker/net/loop.h"

namespace limpet::worker {
namespace {

timeval ToTimeval(uint64_t ms) {
  return {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
}

}  // namespace

TimerHeap::TimerHeap(Loop& loop) : loop_(loop) {
  event_assign(&event_, loop.base(), -1, 0, &TimerHeap::OnEvent, this);
}

TimerHeap::~TimerHeap() {
  if (wakes_ms_ != 0) event_del(&event_);
}

void TimerHeap::Add(Timer& timer, uint64_t at_ms) {
  at_ms = std::max(at_ms, fired_ms_ + 1);  // not in this pass, which would not end
  const Entry entry{at_ms, &timer};
  if (timer.place_ == Timer::kNowhere) {
    entries_.push_back(entry);
    MoveUp(entries_.size() - 1, entry);
  } else if (at_ms < entries_[timer.place_].at_ms) {
    MoveUp(timer.place_, entry);
  } else {
    MoveDown(timer.place_, entry);
  }
  if (!firing_) Wake();
}

void TimerHeap::Remove(Timer& timer) {
  const size_t place = timer.place_;
  timer.place_ = Timer::kNowhere;
  const Entry last = entries_.back();
  entries_.pop_back();
  if (place == entries_.size()) return;
  if (place > 0 && last.at_ms < entries_[(place - 1) / 2].at_ms) return MoveUp(place, last);
  MoveDown(place, last);
}

void TimerHeap::Put(size_t place, Entry entry) {
  entries_[place] = entry;
  entry.timer->place_ = static_cast<uint32_t>(place);
}

void TimerHeap::MoveUp(size_t place, Entry entry) {
  while (place > 0) {
    const size_t above = (place - 1) / 2;
    if (entries_[above].at_ms <= entry.at_ms) break;
    Put(place, entries_[above]);
    place = above;
  }
  Put(place, entry);
}

void TimerHeap::MoveDown(size_t place, Entry entry) {
  for (size_t below = 2 * place + 1; below < entries_.size(); below = 2 * place + 1) {
    if (below + 1 < entries_.size() && entries_[below + 1].at_ms < entries_[below].at_ms) ++below;
    if (entries_[below].at_ms >= entry.at_ms) break;
    Put(place, entries_[below]);
    place = below;
  }
  Put(place, entry);
}

void TimerHeap::Wake() {
  const uint64_t at_ms = entries_.front().at_ms;
  if (wakes_ms_ != 0 && wakes_ms_ <= at_ms) return;
  const uint64_t now = loop_.NowMs();
  const timeval delay = ToTimeval(at_ms > now ? at_ms - now : 0);
  event_add(&event_, &delay);
  wakes_ms_ = at_ms;
}

void TimerHeap::OnEvent(evutil_socket_t, short, void* self) noexcept {
  static_cast<TimerHeap*>(self)->OnFired();
}

void TimerHeap::OnFired() {
  wakes_ms_ = 0;
  fired_ms_ = loop_.NowMs();
  firing_ = true;
  while (!entries_.empty() && entries_.front().at_ms <= fired_ms_) {
    Timer& timer = *entries_.front().timer;
    Remove(timer);
    timer.OnFired(fired_ms_);
  }
  firing_ = false;
  if (!entries_.empty()) Wake();
}

}  // namespace limpet::worker
