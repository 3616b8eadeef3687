"""An origin's answer that waits until it is opened."""
import threading

from origin import Reply


class Gate:
    """`respond=gate` for an Origin; `waiting` has a permit for each request that has come."""

    def __init__(self):
        self.opened = threading.Event()
        self.waiting = threading.Semaphore(0)

    def __call__(self, request):
        self.waiting.release()
        self.opened.wait(20)
        return Reply(b"late")
