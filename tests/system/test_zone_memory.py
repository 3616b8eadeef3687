"""The shared memory of session zones: where it is after a refused reload, under another pid file, and after another binary."""
import os
import re
import signal
import subprocess

import pytest

from binaries import SESSIONS, SessionBinaries, children
from client import get
from daemon import Limpet, alive, hash_of
from sessions import opens_sessions
from waiting import wait_until

CONFIG = """
{main}
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:{one} timeout=1h;
    }
    upstream second {
        zone second 64k;
        server 127.0.0.1:{a};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=two:{two} timeout=1h;
    }
    {more}
    server {
        listen {port} reuseport;
        location / { proxy_pass http://app; }
        location /second { proxy_pass http://second; }
        location /status/ { api /status/; }
    }
}
"""

THIRD = """
    upstream third {
        zone third 64k;
        server 127.0.0.1:{a};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=three:64k;
    }
"""


@pytest.fixture
def servers(origins):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    return {"a": a.port, "b": b.port, "main": "", "more": "", "one": "1m", "two": "1m"}


def new_session(limpet):
    answer = get(limpet.port)
    return re.search("s=(.*)", answer.header("set-cookie"))[1], answer.text


def stays(limpet, session, server):
    return {get(limpet.port, cookies={"s": session}).text for _ in range(12)} == {server}


class InSmallMemory(Limpet):
    """Its shared memory is its own, and 8 MiB."""

    def command(self, *more):
        own = 'mount --make-rprivate / && mount -t tmpfs -o size=8m,mode=1777 tmpfs /dev/shm && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", own, "sh", *super().command(*more)]

    def memory(self):
        folder = f"/proc/{self.pid}/root/dev/shm"
        return sorted((name, os.stat(os.path.join(folder, name)).st_ino) for name in os.listdir(folder))


@pytest.mark.skipif(subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0, reason="needs a mount of its own")
def test_a_reload_without_memory_for_one_zone_moves_none(servers):
    with InSmallMemory(CONFIG, workers=2, **servers) as limpet:
        sessions = [new_session(limpet) for _ in range(8)]
        before = limpet.memory()
        assert len(before) == 2
        limpet.values |= {"one": "2m", "two": "20m", "more": THIRD.replace("{a}", str(servers["a"]))}
        limpet.write(CONFIG)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("the new configuration was refused")
        assert limpet.memory() == before
        os.kill(limpet.workers()[0], signal.SIGKILL)
        limpet.wait_log("exited on signal 9")
        wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
        sessions += [new_session(limpet) for _ in range(8)]
        assert all(stays(limpet, *session) for session in sessions)
        limpet.values |= {"two": "2m"}
        limpet.reload(CONFIG)
        assert len(limpet.memory()) == 3
        assert all(stays(limpet, *session) for session in sessions)


class WithOwnPid(Limpet):
    """The configuration says where its pid file is: `{name}.pid`, at first limpet.pid."""

    def __init__(self, name="limpet", **values):
        super().__init__(CONFIG.replace("{main}", "pid {dir}/{name}.pid;"), name=name, **values)

    def command(self, *more):
        return [re.sub(r"pid \S+; ", "", word, count=1) for word in super().command(*more)]

    def rename(self, name):
        self.values["name"] = name
        self.write(CONFIG.replace("{main}", "pid {dir}/{name}.pid;"))

    def memory(self, name):
        """Of the zone of that name, under which pid files."""
        return [pid for pid in ("limpet", "other")
                if os.path.exists(f"/dev/shm/limpet-{hash_of(self.path(pid + '.pid'))}-{hash_of(name)}")]


def test_another_pid_file_keeps_sessions(servers):
    with WithOwnPid(workers=2, **servers) as limpet:
        sessions = [new_session(limpet) for _ in range(8)]
        limpet.rename("other")
        limpet.reload()
        assert os.path.exists(limpet.path("other.pid"))
        assert limpet.memory("one") == ["other"]
        assert all(stays(limpet, *session) for session in sessions)
        limpet.end()
        assert limpet.memory("one") == limpet.memory("two") == []


def test_a_reload_to_a_pid_file_that_cannot_be_made_is_refused(servers):
    with WithOwnPid(workers=2, **servers) as limpet:
        session = new_session(limpet)
        limpet.rename("nowhere/other")
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("open.. \".*nowhere/other.pid\" failed .2: No such file or directory")
        limpet.wait_log("the new configuration was refused")
        assert limpet.memory("one") == ["limpet"]
        assert os.path.exists(limpet.path("limpet.sock"))
        assert stays(limpet, *session)


def test_a_new_binary_with_another_pid_file_keeps_sessions(servers):
    with WithOwnPid(workers=2, **servers) as limpet:
        sessions = [new_session(limpet) for _ in range(8)]
        limpet.rename("other")
        limpet.kill(signal.SIGUSR2)
        wait_until(lambda: os.path.exists(limpet.path("other.pid")), "the new pid file")
        with open(limpet.path("other.pid")) as text:
            new = int(text.read())
        wait_until(lambda: len(children(new)) == 2, "the new workers")
        sessions += [new_session(limpet) for _ in range(8)]
        assert all(stays(limpet, *session) for session in sessions)
        limpet.kill(signal.SIGQUIT)
        limpet.process.wait(20)
        limpet.wait_log("the old binary has ended")
        assert limpet.memory("one") == ["other"]
        assert all(stays(limpet, *session) for session in sessions)
        os.kill(new, signal.SIGQUIT)
        wait_until(lambda: not alive(new), "the end")
        assert limpet.memory("one") == limpet.memory("two") == []


@pytest.fixture
def trial(origins):
    with SessionBinaries(origins) as made:
        yield made


@pytest.mark.parametrize("way", ["told to end", "killed"])
def test_a_zone_that_the_new_binary_does_not_have_is_given_back(trial, way):
    trial.limpet.write(re.sub("sticky learn .*;", "", SESSIONS))
    trial.upgrade()
    assert os.path.exists(trial.limpet.zone_path("one"))
    if way == "killed":
        trial.crash(trial.old)
    else:
        trial.end(trial.old)
    trial.limpet.wait_log("the old binary has ended")
    wait_until(lambda: not os.path.exists(trial.limpet.zone_path("one")), "the zone to be gone")


def test_a_zone_that_only_the_new_binary_has_goes_with_it(trial):
    trial.limpet.write(SESSIONS.replace("    server {", THIRD + "    server {"))
    trial.upgrade()
    assert os.path.exists(trial.limpet.zone_path("three"))
    trial.limpet.write(SESSIONS)
    trial.end(trial.new)
    assert not os.path.exists(trial.limpet.zone_path("three"))
    trial.limpet.wait_log(r"new binary process \d+ has ended")
    trial.check_sessions()
