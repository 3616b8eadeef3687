// System calls of this test program that fail on demand. Zero it again: all tests share them.
#pragma once

namespace limpet::worker {

struct FailingCall {
  int error = 0;  // what each call fails with; 0: it is the system's
  int calls = 0;
};

inline FailingCall failing_accept4, failing_epoll_ctl;

}  // namespace limpet::worker
