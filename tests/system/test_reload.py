"""SIGHUP: a new configuration under traffic, and a wrong one."""
import itertools
import json
import os
import signal
import threading
import time

import pytest

from client import Connection, get
from daemon import Limpet
from gate import Gate
from http2 import Http2
from load import Crowd, Load
from origin import Reply
from sessions import opens_sessions
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    server {
        listen {port};
        location / { return 200 {answer}; }
        location /proxied { proxy_pass http://127.0.0.1:{port}/; }
    }
}
"""


def test_a_new_configuration_takes_over():
    with Limpet(CONFIG, workers=2, answer="old") as limpet:
        assert get(limpet.port).text == "old"
        limpet.values["answer"] = "new"
        limpet.reload(CONFIG)
        assert {get(limpet.port).text for _ in range(6)} == {"new"}


@pytest.mark.parametrize("wrong", [CONFIG.replace("return", "retrun"), CONFIG.replace("events {", "events {{")])
def test_a_wrong_configuration_changes_nothing_and_says_why(wrong):
    with Limpet(CONFIG, workers=2, answer="old") as limpet:
        before = set(limpet.workers())
        limpet.write(wrong)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r"\[emerg\].* in .*limpet.conf:\d+")
        assert set(limpet.workers()) == before
        assert get(limpet.port).text == "old"


@pytest.mark.parametrize("left", ["", "# as yet\n", "worker_processes 2;\n"])
def test_a_file_of_which_nothing_is_there_takes_nothing_over(left):
    with Limpet(CONFIG, workers=2, answer="old") as limpet:
        before = set(limpet.workers())
        with open(limpet.path("limpet.conf"), "w") as cut_off:
            cut_off.write(left)
        assert limpet.run("-t").returncode == 1
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r'\[emerg\].* no "events" section in configuration')
        assert set(limpet.workers()) == before
        assert get(limpet.port).text == "old"


def test_a_port_that_is_taken_keeps_the_old_configuration(origins):
    (busy,) = origins("busy")
    with Limpet(CONFIG, workers=2, answer="old") as limpet:
        limpet.write(CONFIG.replace("listen {port};", f"listen {{port}}; listen {busy.port};"))
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(rf"\[emerg\].*bind\(\) to 0.0.0.0:{busy.port} failed \(98: Address already in use\)")
        assert get(limpet.port).text == "old"


@pytest.mark.parametrize("path", ["/", "/proxied"])
def test_no_request_fails_over_reloads(path):
    with Limpet(CONFIG, workers=2, answer="here") as limpet:
        failures, served, over = [], [0], threading.Event()

        def hammer():
            while not over.is_set():
                try:
                    assert get(limpet.port, path).text == "here"
                    served[0] += 1
                except Exception as error:  # whatever it is, it is a failed request
                    failures.append(repr(error))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                limpet.reload()
            wait_until(lambda: served[0] > 100, "requests")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[:5]


def test_the_number_of_workers_may_change():
    with Limpet("worker_processes {workers_now};" + CONFIG, answer="x", workers_now=1) as limpet:
        assert len(limpet.workers()) == 1
        for count in (4, 2):
            limpet.values["workers_now"] = count
            limpet.reload("worker_processes {workers_now};" + CONFIG)
            assert len(limpet.workers()) == count
            assert get(limpet.port).text == "x"


FOLDER = "working_directory {folder};" + CONFIG


@pytest.mark.parametrize("reuseport", ["", " reuseport"])
def test_old_workers_go_on_until_new_ones_have_begun(reuseport):
    """Workers that cannot enter their folder end before they serve; they are started ever more rarely."""
    config = FOLDER.replace("listen {port}", "listen {port}" + reuseport)
    with Limpet(config, workers=2, answer="old", folder="/") as limpet:
        old = set(limpet.workers())
        limpet.values |= {"answer": "new", "folder": limpet.path("away")}
        limpet.write(config)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r"keeps dying, it is started again in \d+ ms", 4)
        asked = time.monotonic()
        assert {get(limpet.port).text for _ in range(20)} == {"old"}
        assert time.monotonic() - asked < 1
        limpet.wait_log("workers of configuration 2 have not begun to serve, those of the one before go on until they do")
        assert old <= set(limpet.workers())
        os.mkdir(limpet.path("away"))
        wait_until(lambda: not old & set(limpet.workers()), "the new workers")
        assert {get(limpet.port).text for _ in range(6)} == {"new"}
        limpet.forgive()


SESSIONS = """
events { }
http {
    upstream app {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m timeout=1h;
    }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /status/ { api /status/; }
    }
}
"""


def test_twenty_reloads_and_reopened_logs_under_load_lose_no_request_and_no_session(origins):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(SESSIONS, workers=2, a=a.port, b=b.port) as limpet:
        sessions = [get(limpet.port).cookie("s") for _ in range(50)]
        with Load(limpet.port, cookies=[{"s": session} for session in sessions[:4]],
                  check=lambda response, cookies: response.text == cookies["s"][0]) as load:
            for number in range(20):
                limpet.reload()
                if number % 5 == 0:
                    limpet.kill(signal.SIGUSR1)
                load.more(20)
        assert all(get(limpet.port, cookies={"s": session}).text == session[0] for session in sessions)
        assert json.loads(get(limpet.port, "/status/sessions/one", cookies={"s": "x"}).text)["active"] == 50


GROWING = """
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a};
        {more}
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m timeout=1h header;
    }
    server { listen {port}; http2 on; location / { proxy_pass http://app; } location /status/ { api /status/; } }
}
"""


class Visitors(Crowd):
    """Each opens a session, comes back at once a few times, and is somebody else then. `moved`: found another server."""

    def __init__(self, port):
        super().__init__(clients=4)
        self.port, self.moved, self.sessions = port, [], itertools.count()

    def come(self, number):
        session = f"{number}-{next(self.sessions)}"
        first = get(self.port, f"/?{session}").text
        for _ in range(4):
            answer = get(self.port, cookies={"s": session})
            self.note()
            if (answer.status, answer.text) != (200, first):
                self.moved.append((session, first, answer.status, answer.text))


def test_sessions_of_a_new_server_stay_there_while_old_workers_still_end(origins):
    """The old workers do not know it: none of its sessions may come to one of them."""
    def respond(name):
        return lambda request: Reply(name.encode(), headers=[] if request.header("cookie") else
                                     [("Set-Cookie", f"s={request.target[2:]}")])

    (a,), (b,), (c,) = (origins(name, respond=respond(name)) for name in "abc")
    with Limpet(GROWING, workers=3, a=a.port, more="") as limpet:
        for _ in range(3):
            with Visitors(limpet.port) as visitors:
                visitors.more(20)
                limpet.values["more"] = f"server 127.0.0.1:{b.port}; server 127.0.0.1:{c.port};"
                limpet.reload(GROWING)
                visitors.more(50)
            assert not visitors.moved, (len(visitors.moved), visitors.moved[:3])
            assert c.hits, "the new servers have sessions"
            limpet.values["more"] = ""
            limpet.reload(GROWING)


@pytest.mark.parametrize("cookie", [[], [("Set-Cookie", "s=%s")]], ids=["asks", "logs in again"])
def test_a_worker_that_ends_binds_sessions_whose_server_has_died(origins, cookie):
    """The server that has answered them is theirs from then on, also for the workers that come."""
    gate = Gate()

    def respond(name):
        def answer(request):
            if request.target == "/late":
                gate(request)
                return Reply(name.encode(), headers=[(n, v % request.header("cookie")[2:]) for n, v in cookie])
            return Reply(name.encode(), headers=[] if request.header("cookie") else [("Set-Cookie", f"s={request.target[2:]}")])
        return answer

    (a,), (b,), (c,) = (origins(name, respond=respond(name)) for name in "abc")
    with Limpet(GROWING, workers=1, a=a.port, more=f"server 127.0.0.1:{b.port}; server 127.0.0.1:{c.port};") as limpet:
        sessions = [f"s{number}" for number in range(24)]
        orphans = [session for session in sessions if get(limpet.port, f"/?{session}").text == "a"]
        a.stop()
        late = {session: Connection(limpet.port) for session in orphans}
        for session, connection in late.items():
            connection.send(f"GET /late HTTP/1.1\r\nHost: x\r\nCookie: s={session}\r\n\r\n")
            assert gate.waiting.acquire(timeout=PATIENCE)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("gracefully shutting down")
        gate.opened.set()
        answered = {session: connection.response().text for session, connection in late.items()}
        assert set(answered.values()) == {"b", "c"}
        names = {f"127.0.0.1:{origin.port}": origin.name for origin in (b, c)}
        known = {session: json.loads(get(limpet.port, f"/status/sessions/one/{session}").text) for session in orphans}
        assert {session: names.get(known[session]["servers"][0]) for session in orphans} == answered


def test_a_login_in_a_worker_that_ends_replaces_what_a_server_that_was_away_has_left(origins):
    """The server was taken away and comes back with that reload: the session has another one since."""
    def respond(name):
        return lambda request: Reply(name.encode(), headers=[("Set-Cookie", "s=one")] if request.target == "/login" else [])

    (a,), (b,) = (origins(name, respond=respond(name)) for name in "ab")
    with Limpet(GROWING, workers=1, a=b.port, more="") as limpet:
        assert get(limpet.port, "/login").text == "b"
        session = "/status/sessions/one/one"
        wait_until(lambda: json.loads(get(limpet.port, session).text)["idle_ms"] >= 200, "a session that has not just been used")
        limpet.values["a"] = a.port
        limpet.reload(GROWING)  # without b
        with Http2(limpet.port) as client:
            assert client.get().text == "a"
            limpet.values["more"] = f"server 127.0.0.1:{b.port};"
            limpet.write(GROWING)
            limpet.kill(signal.SIGHUP)
            client.until(lambda: client.goaway)  # but it may still ask, as it has not been told of a last stream
            assert client.get("/login", headers=[("cookie", "s=one")]).text == "a"
        wait_until(lambda: len(limpet.workers()) == 1, "the old worker to end")
        assert {get(limpet.port, cookies={"s": "one"}).text for _ in range(6)} == {"a"}
