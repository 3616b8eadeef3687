"""Whether a worker that the watchdog ended could have run: exact, by what was seen of it meanwhile; of scripts/chaos."""
import contextlib
import os
import re
import signal
import threading
import time
from collections import deque

PERIOD = 0.2  # seconds between looks
# Seconds of a standstill in which a sound worker may have been free to run: up to its next beat before, up to the master's
# next look after, and some to spare.
LEEWAY = 2.5
KEPT = 30  # seconds for which looks are remembered
JUDGED = re.compile(r"the event loop of worker process (\d+) has not turned for (\d+) s, it is ended with SIGABRT")
ABORTED = re.compile(r"worker process (\d+) exited on signal 6\b")


class Witness:
    """Looks at all workers and at the error log, in a thread of its own. `workers()` gives the pids.

    A worker that the watchdog ends had stood still for some seconds. Those in which we kept it stopped and those in which
    it waited for a processor (schedstat) are no fault of its own; of what is left it must not have more than LEEWAY. Else,
    and if it aborted without the watchdog, `complain` is told.
    """

    def __init__(self, log_path, workers, complain):
        self.log_path, self.workers, self.complain = log_path, workers, complain
        self.aborts = 0  # all that the watchdog ended
        self._read = 0  # bytes of the log
        self._stops = {}  # pid -> [[from, until]], until None while it stands still
        self._looks = {}  # pid -> of (time, seconds that it has waited for a processor, what it does)
        self._ended = set()  # pids that the watchdog has ended
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    # What we do to them

    def stop(self, pid):
        """Until go_on(), or for ever."""
        os.kill(pid, signal.SIGSTOP)
        self._stops.setdefault(pid, []).append([time.monotonic(), None])

    def go_on(self, pid):
        self._stops[pid][-1][1] = time.monotonic()
        os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def standing_still(self, pid):
        self.stop(pid)
        yield
        self.go_on(pid)

    def has_seen_end(self, pid):
        """The watchdog has ended it."""
        return pid in self._ended

    # What we see

    def start(self):
        self._thread.start()

    def finish(self):
        """After all have ended: reads the rest of the log."""
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self):
        try:
            while not self._done.wait(PERIOD):
                self._look()
        except Exception as error:  # without it nobody would notice
            self.complain(f"the witness has gone: {error!r}")

    def _look(self):
        now = time.monotonic()
        for pid in {*self.workers(), *self._looks}:
            with contextlib.suppress(OSError):  # it has died meanwhile
                self._looks.setdefault(pid, deque(maxlen=int(KEPT / PERIOD))).append((now, *_condition(pid)))
        for line in self._new_lines():
            self._hear(line, now)
        for pid in [pid for pid, looks in self._looks.items() if not looks or looks[-1][0] < now - KEPT]:
            for of_pid in (self._looks, self._stops):
                of_pid.pop(pid, None)
            self._ended.discard(pid)

    def _new_lines(self):
        """Whole ones only."""
        with open(self.log_path, "rb") as log:
            log.seek(self._read)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()

    def _hear(self, line, now):
        if found := JUDGED.search(line):
            self.aborts += 1
            pid, still = int(found[1]), int(found[2])
            self._ended.add(pid)
            self._judge(pid, still, now)
        elif (found := ABORTED.search(line)) and int(found[1]) not in self._ended:
            self.complain(f"a worker aborted by itself: {line}")

    def _judge(self, pid, still, now):
        stopped, starved = self._stopped(pid, now - still, now), self._starved(pid, now - still, now)
        if still - stopped - starved <= LEEWAY:
            return
        does = self._looks[pid][-1][2] if self._looks.get(pid) else "never seen"
        others = [other for other, stops in list(self._stops.items()) if other != pid and stops[-1][1] is None]
        self.complain(f"worker {pid} was ended by the watchdog after {still} s; of these we had stopped it for "
                      f"{stopped:.1f} s, and it waited for a processor for {starved:.1f} s; it was {does}; "
                      f"stopped were {others}")

    def _stopped(self, pid, begin, end):
        return sum(max(0, min(until or end, end) - max(since, begin)) for since, until in self._stops.get(pid, []))

    def _starved(self, pid, begin, end):
        """What passed without a look of ours counts, too: then we were starved ourselves."""
        looks = self._looks.get(pid)
        if not looks:
            return 0
        before = [waited for at, waited, _ in looks if at <= begin] or [looks[0][1]]
        return looks[-1][1] - before[-1] + max(0, end - looks[-1][0] - 2 * PERIOD)


def _condition(pid):
    """Seconds that it has waited for a processor, and what it does."""
    def read(name):
        with open(f"/proc/{pid}/{name}") as text:
            return text.read()

    state = read("stat").rpartition(")")[2].split()[0]
    if state == "Z":
        raise OSError("it has died")
    place = ""
    with contextlib.suppress(OSError):  # not everybody may ask
        place = read("wchan")
    return int(read("schedstat").split()[1]) / 1e9, f"{state} {place}"
