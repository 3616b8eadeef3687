"""SIGUSR2: the old binary of a limpet and the new one beside it."""
import json
import os
import signal

from client import get
from daemon import Limpet, alive, is_worker
from load import Load
from origin import Reply
from sessions import LEARNING_UPSTREAM
from waiting import wait_until

SESSIONS = """
events { }
http {
""" + LEARNING_UPSTREAM + """
    server {
        listen {port};
        listen unix:{dir}/socket;
        location / { proxy_pass http://app; }
        location /status/ { api /status/ write=on; }
    }
}
"""


def read_pid(limpet, suffix=""):
    try:
        with open(limpet.path("limpet.pid" + suffix)) as text:
            return int(text.read())
    except (OSError, ValueError):
        return None


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as text:
        return [int(child) for child in text.read().split() if is_worker(int(child))]


class ManyMasters(Limpet):
    """A limpet whose master is the one that the pid file names: another one after a change of the binary."""

    @property
    def pid(self):
        return read_pid(self) or self.process.pid

    def workers(self):
        """None while there is no process that the pid file names."""
        try:
            return super().workers()
        except OSError:
            return []

    def change_binary(self):
        """As an operator does; until nothing of the old one is left."""
        old = [self.pid, *self.workers()]
        done = self.run("-s", "upgrade")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: not any(alive(pid) for pid in old), "the old binary to end")


class Binaries:
    """A limpet that runs, and what becomes of it over a change of binary: `old` and `new` are the masters' pids."""

    def __init__(self, limpet, workers):
        self.limpet, self.worker_count = limpet, workers
        self.old, self.new = limpet.pid, None

    def upgrade(self):
        os.kill(self.old, signal.SIGUSR2)
        self.new = wait_until(lambda: (pid := read_pid(self.limpet)) and pid != self.old and pid, "the new pid file")
        wait_until(lambda: len(children(self.new)) == self.worker_count, "the new workers")
        assert read_pid(self.limpet, ".oldbin") == self.old

    def rest(self):
        """WINCH to the old one, in the foreground, too."""
        workers = self.old_workers()
        os.kill(self.old, signal.SIGWINCH)
        wait_until(lambda: not any(alive(pid) for pid in workers), "the old workers to end")
        assert alive(self.old)

    def old_workers(self):
        return [pid for pid in children(self.old) if pid != self.new]

    def end(self, pid, how=signal.SIGQUIT):
        os.kill(pid, how)
        self.wait_end(pid)

    def end_old(self):
        """Until only the new one serves."""
        self.end(self.old)
        self.limpet.wait_log("the old binary has ended")

    def crash(self, pid):
        """Master and workers at once, with no time for any last word."""
        workers = children(pid) if pid == self.new else self.old_workers()
        for victim in (pid, *workers):
            os.kill(victim, signal.SIGKILL)
        for victim in (pid, *workers):
            self.wait_end(victim)

    def wait_end(self, pid):
        if pid == self.limpet.pid:
            self.limpet.process.wait(20)
        wait_until(lambda: not alive(pid), "the end")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        try:
            if self.new and alive(self.new):
                self.end(self.new, signal.SIGTERM)
        finally:
            self.limpet.__exit__(*what)


class SessionBinaries(Binaries):
    """A limpet that has learned sessions, and what becomes of it over a change of binary."""

    def __init__(self, origins, config=SESSIONS):
        self.count = 0

        def respond(request, name):  # whoever comes without a session is given one that names its server
            if "s=" in request.header("cookie", ""):
                return Reply(name.encode())
            self.count += 1
            return Reply(name.encode(), headers=[("Set-Cookie", f"s={name}{self.count}")])

        (a,) = origins("a", respond=lambda request: respond(request, "a"))
        (b,) = origins("b", respond=lambda request: respond(request, "b"))
        super().__init__(Limpet(config, workers=2, a=a.port, b=b.port), workers=2)
        self.sessions = []
        self.learn(40)

    def learn(self, count):
        self.sessions += [get(self.limpet.port).cookie("s") for _ in range(count)]

    def load(self):
        """Clients with sessions: an answer of another server is a failure."""
        return Load(self.limpet.port, cookies=[{"s": session} for session in self.sessions[:4]],
                    check=lambda response, cookies: response.text == cookies["s"][0])

    def active(self):
        page = get(self.limpet.port, "/status/sessions/one", cookies={"s": self.sessions[0]})
        return json.loads(page.text)["active"]

    def check_sessions(self):
        """Every session is where it was, and none was made or lost."""
        assert self.active() == len(self.sessions)
        for session in self.sessions:
            assert get(self.limpet.port, cookies={"s": session}).text == session[0]
        assert self.active() == len(self.sessions)
