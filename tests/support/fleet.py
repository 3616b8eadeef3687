"""Servers that come, go and die behind a limpet, and sessions that must stay where they are; of scripts/soak and scripts/chaos."""
import threading
import time
from collections import deque

from origin import Origin, Reply

FAIL_TIMEOUT = 10  # seconds, the default of `server`


class Servers:
    """All servers and where each is: `out`, `in`, `draining` or `killed`; and what is known of sessions.

    `places` gives some a port or an address of their own: name -> Origin's options.
    """

    def __init__(self, names, begin=None, places=None):
        self.origins = {}
        self.lock = threading.Lock()
        self.wrong = []
        self.past = deque(maxlen=4000)  # what happened: (time, session or "", text)
        for name in names:
            self.origins[name] = Origin(name, lambda request, name=name: self.answer(request, name),
                                        **(places or {}).get(name, {}))
            self.origins[name].requests = deque(maxlen=1)  # nobody looks at them
        self.places = dict.fromkeys(names, "out") | dict.fromkeys(begin if begin is not None else names, "in")
        self.gone = {name: 0 for name in self.origins}  # how often it was removed or killed
        self.back_at = dict.fromkeys(self.origins, float("-inf"))  # when it was revived

    def note(self, session, text):
        self.past.append((time.monotonic(), session, text))

    def has_gone(self, name, count):
        """Under the lock. It was removed or killed since then, or is now."""
        return self.gone[name] != count or self.places[name] in ("killed", "out")

    def answer(self, request, name):
        """The server's name; whoever logs in gets the session that it asks for."""
        path, _, session = request.target.partition("?")
        return Reply(name.encode(), headers=[("Set-Cookie", f"id={session}")] if path.endswith("/login") else [])

    def of(self, *places):
        return [name for name, where in self.places.items() if where in places]

    def steady(self):
        """In service, and so for limpet, too: it gives one that had failed another chance after fail_timeout."""
        return [name for name in self.of("in") if time.monotonic() - self.back_at[name] > FAIL_TIMEOUT + 1]

    def put(self, name, place):
        """It is there from now on; what goes has gone once more when that is done (`went`)."""
        with self.lock:
            if self.places[name] == "killed":
                self.back_at[name] = time.monotonic()
            self.places[name] = place
            self.gone[name] += place in ("killed", "out")

    def went(self, name):
        with self.lock:
            self.gone[name] += 1  # what began there while it went is not its own any more, either

    def stop(self):
        for origin in self.origins.values():
            origin.stop()

    def explain(self, limpet):
        """What led to the first thing that is wrong: of its session, of the servers, and limpet's own words."""
        words = self.wrong[0].split()
        session = words[1].rstrip(":") if words[0] == "session" else ""
        now = time.monotonic()
        for at, whose, text in [entry for entry in self.past if entry[1] in ("", session)][-60:]:
            print(f"{at - now:9.3f} s  {whose or '*'} {text}")
        for name, origin in self.origins.items():
            print(f"{name} is {origin.address}:{origin.port}, {self.places[name]}")
        print("\n".join(limpet.log().splitlines()[-60:]))


class Sessions:
    """What one client knows of its sessions, and whether an answer is right. `ask(path, cookies)` gives the response."""

    def __init__(self, servers, ask, excused):
        self.servers, self.ask, self.excused = servers, ask, excused
        self.known = {}  # id -> (server, how often that had gone)
        self.requests = self.bound_anew = self.failed = 0

    def visit(self, session, prefix="/"):
        """One request of a session that is known, or else its login."""
        known = self.known.get(session)
        with self.servers.lock:
            before = dict(self.servers.gone)
        began = time.monotonic()
        try:
            response = self.ask(prefix if known else f"{prefix}login?{session}", {"id": session})
            status, text = response.status, response.text
        except OSError as error:
            status, text = 0, repr(error)
        self.requests += 1
        self._look(session, known, before, status, text, began)

    def _look(self, session, known, before, status, text, began):
        server, count = known or (None, 0)
        with self.servers.lock:
            gone = known and self.servers.has_gone(server, count)
        self.servers.note(session, f"{'known at ' + server if known else 'new'}: {status} {text[:60]!r}")
        if status != 200:
            self._failed(session, server, status or text, gone, began)
        elif known is None:
            self.known[session] = (text, before[text])
        elif gone:
            self.bound_anew += 1
            self.known.pop(session)
        elif text != server:
            self.servers.wrong.append(f"session {session} moved from {server} to {text}")
            self.known.pop(session)

    def _failed(self, session, server, how, gone, began):
        if self.excused(gone, began):
            self.failed += 1
        else:
            self.servers.wrong.append(f"session {session} of {server}: {how}")
        if gone or server is None:
            self.known.pop(session, None)
