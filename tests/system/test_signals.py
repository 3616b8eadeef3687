"""Every signal under wrk: not one request fails, and every session is where it was."""
import json
import os
import signal

import pytest

import wrk
from client import get
from daemon import Limpet, alive
from origin import Reply
from sessions import LEARNING_UPSTREAM
from waiting import wait_until

CONFIG = """
events { }
http {
""" + LEARNING_UPSTREAM + """
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /status/ { api /status/; }
    }
}
"""

pytestmark = pytest.mark.skipif(not wrk.is_installed(), reason="no wrk here")


class Service:
    """A limpet with learned sessions, under load by wrk; leaving it checks that nothing was lost."""

    def __init__(self, origins):
        self.origins = [origins(name, respond=self._respond(name))[0] for name in "ab"]
        self.limpet = Limpet(CONFIG, workers=2, a=self.origins[0].port, b=self.origins[1].port)
        self.sessions = [get(self.limpet.port).cookie("s") for _ in range(40)]
        assert {session[0] for session in self.sessions} == {"a", "b"}
        self.wrk = wrk.Wrk(self.limpet.port, self.sessions, lambda: sum(origin.hits for origin in self.origins))
        self.others = []  # masters that took over

    @staticmethod
    def _respond(name):
        def respond(request):
            session = request.header("cookie", "")[2:] or f"{name}{os.urandom(6).hex()}"
            fields = [("X-Session", session)]
            return Reply(name.encode(), headers=fields if request.header("cookie") else
                         [*fields, ("Set-Cookie", f"s={session}")])
        return respond

    def active(self):
        page = get(self.limpet.port, "/status/sessions/one", cookies={"s": self.sessions[0]})
        return json.loads(page.text)["active"]

    def __enter__(self):
        self.before = self.active()
        self.wrk.__enter__()
        self.wrk.more()
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.wrk.more()
            self.wrk.__exit__(kind, *rest)
            if kind is None:
                assert self.active() == self.before == len(self.sessions)
        finally:
            for pid in self.others:
                if alive(pid):
                    os.kill(pid, signal.SIGTERM)
                    wait_until(lambda pid=pid: not alive(pid), "the new master to end")
            self.limpet.__exit__(kind, *rest)

    # What an operator does

    def pid_of(self, suffix=""):
        try:
            with open(self.limpet.path("limpet.pid" + suffix)) as text:
                return int(text.read())
        except (OSError, ValueError):
            return None

    def children(self, pid, count):
        def running():
            with open(f"/proc/{pid}/task/{pid}/children") as text:
                return len([child for child in text.read().split() if alive(int(child))]) == count
        wait_until(running, f"{count} children of {pid}")

    def change_binary(self, old):
        os.kill(old, signal.SIGUSR2)
        new = wait_until(lambda: (pid := self.pid_of()) and pid != old and pid, "the new master")
        self.others.append(new)
        self.children(new, 2)
        self.wrk.more()
        return new

    def end(self, pid):
        os.kill(pid, signal.SIGQUIT)
        if pid == self.limpet.pid:
            self.limpet.process.wait(20)
        wait_until(lambda: not alive(pid), "the end")


@pytest.fixture
def service(origins):
    with Service(origins) as made:
        yield made


def test_twenty_reloads_in_a_row(service):
    for _ in range(20):
        service.limpet.reload()
    assert len(service.limpet.log_lines(r"#\d+: reconfiguring$")) == 20


def test_reloads_faster_than_they_are_carried_out(service):
    for _ in range(20):
        service.limpet.kill(signal.SIGHUP)
    service.wrk.more()
    service.limpet.reload()


def test_a_wrong_configuration(service):
    service.limpet.write("rubbish;")
    service.limpet.kill(signal.SIGHUP)
    service.limpet.wait_log(r"\[emerg\]")


def test_reopening_logs(service):
    for count in range(1, 6):
        os.rename(service.limpet.path("error.log"), service.limpet.path(f"error.log.{count}"))
        service.limpet.kill(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(service.limpet.path("error.log")), "the new log")
        service.wrk.more(50)


def test_a_new_binary(service):
    new = service.change_binary(service.limpet.pid)
    os.kill(service.limpet.pid, signal.SIGWINCH)
    service.children(service.limpet.pid, 1)  # the new master
    service.wrk.more()
    service.end(service.limpet.pid)
    assert service.pid_of() == new


def test_a_new_binary_and_the_way_back(service):
    old = service.limpet.pid
    new = service.change_binary(old)
    os.kill(old, signal.SIGWINCH)
    service.children(old, 1)
    service.wrk.more()
    os.kill(old, signal.SIGHUP)
    service.children(old, 3)
    service.wrk.more()
    service.end(new)
    wait_until(lambda: service.pid_of() == old, "the pid file to be the old one's again")


def test_workers_that_are_killed_take_only_their_own_requests_along(origins):
    """No signal of an operator's: what must hold here is that sessions stay."""
    service = Service(origins)
    with service.limpet:
        before = service.active()
        for worker in service.limpet.workers():
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: len(service.limpet.workers()) == 2, "other workers")
        for session in service.sessions:
            assert get(service.limpet.port, cookies={"s": session}).text == session[0]
        assert service.active() == before
