#include "worker/net/loop.h"

#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/clock.h"
#include "worker/net/second_look.h"
#include "worker/net/timer_heap.h"

namespace limpet::worker {
namespace {

event_base* NewBase() {
  event_config* config = event_config_new();
  event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) std::abort();  // no epoll: nothing of a worker can run
  return base;
}

}  // namespace

void Deferred::Schedule() {
  if (!scheduled()) LinkBefore(loop_.deferred_);
}

Timer::Timer(Loop& loop, Callback callback) : loop_(loop), callback_(callback) {}

Timer::Timer(Loop& loop, TimerGroup& group, Callback callback) : Timer(loop, callback) {
  next_in_group_ = std::exchange(group.first_, this);
}

void TimerGroup::Disarm() {
  for (Timer* timer = first_; timer != nullptr; timer = timer->next_in_group_) timer->Disarm();
}

bool TimerGroup::armed() const {
  const Timer* timer = first_;
  while (timer != nullptr && !timer->armed()) timer = timer->next_in_group_;
  return timer != nullptr;
}

Timer::~Timer() {
  if (place_ != kNowhere) loop_.timers_->Remove(*this);
}

void Timer::Arm(uint64_t ms) {
  deadline_ms_ = loop_.NowMs() + ms;
  if (place_ == kNowhere || deadline_ms_ < loop_.timers_->At(place_))
    loop_.timers_->Add(*this, deadline_ms_);
}

void Timer::OnFired(uint64_t now_ms) {
  if (now_ms < deadline_ms_) return loop_.timers_->Add(*this, deadline_ms_);
  if (std::exchange(deadline_ms_, 0) != 0) callback_();
}

SignalWatch::SignalWatch(Loop& loop, int signal_number, Callback callback) : callback_(callback) {
  event_assign(&event_, loop.base(), signal_number, EV_SIGNAL | EV_PERSIST, &SignalWatch::OnEvent,
               this);
  event_add(&event_, nullptr);
}

SignalWatch::~SignalWatch() { event_del(&event_); }

void SignalWatch::OnEvent(evutil_socket_t, short, void* self) noexcept {
  static_cast<SignalWatch*>(self)->callback_();
}

FdWatch::FdWatch(Loop& loop, int fd, Callback on_ready, Interest interest)
    : loop_(loop), callback_(on_ready) {
  const short event = interest == Interest::kRead ? EV_READ : EV_WRITE;
  event_assign(&event_, loop.base(), fd, static_cast<short>(event | EV_PERSIST), &FdWatch::OnEvent,
               this);
}

// The system may have no memory for it: then it has not started.
void FdWatch::Start() {
  if (!started_) started_ = event_add(&event_, nullptr) == 0;
}

void FdWatch::Stop() {
  if (std::exchange(started_, false)) event_del(&event_);
}

void FdWatch::OnEvent(evutil_socket_t, short, void* self) noexcept {
  auto* const watch = static_cast<FdWatch*>(self);
  watch->loop_.NoteEvent();
  watch->callback_();
}

Loop::Loop()
    : base_(NewBase()),
      timers_(std::make_unique<TimerHeap>(*this)),
      second_looks_(std::make_unique<SecondLooks>(*this)) {
  std::signal(SIGPIPE, SIG_IGN);
}

Loop::~Loop() {
  FreeDead();
  second_looks_.reset();
  timers_.reset();
  event_base_free(base_);
}

void Loop::Run() {
  while (!stopped_) RunOnce();
}

void Loop::RunOnce() {
  const bool pending = deferred_.linked() || !dead_.empty() || second_looks_->seeks_leisure();
  now_ms_ = 0;  // the wait below takes its time
  found_event_ = false;
  event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (pending ? EVLOOP_NONBLOCK : 0));
  if (!found_event_ && !deferred_.linked() && second_looks_->seeks_leisure())
    second_looks_->OnLeisure();
  RunDeferred();
  FreeDead();
}

void Loop::RunDead() {
  while (deferred_.linked() || !dead_.empty()) {
    RunDeferred();
    FreeDead();
  }
}

void Loop::RunDeferred() {
  ListLink batch;  // what is scheduled meanwhile waits for the next pass: events come in between
  batch.TakeAllOf(deferred_);
  while (batch.linked()) {
    auto* call = static_cast<Deferred*>(batch.next);
    call->Cancel();
    call->callback_();
  }
}

void Loop::FreeDead() {
  while (!dead_.empty()) {  // a destructor may hand over more
    std::vector<std::unique_ptr<Deletable>> batch;
    batch.swap(dead_);
  }
}

void Loop::DeleteLater(std::unique_ptr<Deletable> object) {
  if (object) dead_.push_back(std::move(object));
}

uint64_t Loop::NowMs() {
  if (now_ms_ == 0) now_ms_ = MonotonicMs();
  return now_ms_;
}

}  // namespace limpet::worker
