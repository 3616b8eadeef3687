"""Reload, upgrade, drain and the end under HTTP/2: GOAWAY names the last stream, and no request is lost."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from binaries import Binaries
from client import get
from daemon import Limpet, alive
from gate import Gate
from http2 import NO_ERROR, Http2
from load import Crowd
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_shutdown_timeout 20s;
events { worker_connections 512; }
http {
    access_log off;
    keepalive_requests {requests};
    server {
        listen {port};
        http2 on;
        location / { proxy_pass http://127.0.0.1:{app}; }
    }
}
"""


class Streams(Crowd):
    """Clients that ask several requests at a time; what GOAWAY leaves unserved, they ask again elsewhere."""

    def __init__(self, port, clients=3, streams=5):
        super().__init__(clients)
        self.port, self.streams = port, streams
        self.again, self.connections = 0, 0

    def come(self, number):
        with Http2(self.port) as client:
            self.connections += 1
            self.serve(client)

    def serve(self, client):
        while not (self.over.is_set() or client.goaway or client.closed):
            try:
                asked = [client.ask(f"/{number}") for number in range(self.streams)]
            except OSError:  # it has gone away meanwhile; what was asked is none's
                client.until(lambda: client.closed)
                assert client.goaway and client.goaway.error_code == NO_ERROR
                return
            for stream in asked:
                client.until(lambda: client.streams[stream].over or self.is_left(client, stream))
                had = client.streams[stream]
                if had.ended:
                    assert had.status == 200
                    self.note()
                else:
                    assert self.is_left(client, stream), f"{stream} of {asked} reset {had.reset}, {client.goaway}"
                    self.again += 1

    @staticmethod
    def is_left(client, stream):
        return client.goaway is not None and stream > client.goaway.last_stream_id


@pytest.fixture
def app(origins):
    (made,) = origins("app")
    return made


def start(app, requests=1000, **more):
    return Limpet(CONFIG, app=app.port, requests=requests, **more)


def test_connections_follow_each_other(app):
    with start(app, requests=7, workers=2) as limpet, Streams(limpet.port) as load:
        load.more(300)
        # Each is told to leave in the second round of five streams; the word may cross the begin of a third.
        assert load.connections >= 300 / 15


def test_reloads(app):
    with start(app, workers=2) as limpet, Streams(limpet.port) as load:
        for _ in range(10):
            load.more(20)
            limpet.reload()
        load.more(50)


def test_an_upgrade(app):
    limpet = start(app, workers=2)
    with Binaries(limpet, workers=2) as pair, Streams(limpet.port) as load:
        load.more(50)
        pair.upgrade()
        load.more(50)
        pair.rest()
        load.more(50)
        pair.end_old()
        load.more(50)


@pytest.mark.skipif(not shutil.which("h2load"), reason="needs h2load")
def test_h2load_over_reloads(app):
    with start(app, requests=100_000_000, workers=2) as limpet:
        load = subprocess.Popen(["h2load", "-n", "6000", "-c", "4", "-m", "10", f"http://127.0.0.1:{limpet.port}/"],
                                stdout=subprocess.PIPE, text=True)
        wait_until(lambda: app.hits > 100, "the first requests")
        limpet.kill(signal.SIGHUP)
        out, _ = load.communicate(timeout=110)
        _, started, done, succeeded = map(int, re.search(
            r"(\d+) total, (\d+) started, (\d+) done, (\d+) succeeded", out).groups())
        # It begins none after a GOAWAY, and gives up what had not begun there: whatever an upstream has seen is answered.
        assert 0 < started == done and succeeded == app.hits, out
        assert get(limpet.port).text == "app"


@pytest.fixture
def waiting(origins):
    gate = Gate()
    (app,) = origins("app", respond=lambda request: gate(request) if request.target == "/waits" else Reply(b"app"))
    app.gate = gate
    yield app
    gate.opened.set()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGHUP])
def test_streams_under_way_end_and_the_client_is_told(waiting, how):
    with start(waiting, workers=1) as limpet, Http2(limpet.port) as client:
        (worker,) = limpet.workers()
        streams = [client.ask("/waits") for _ in range(3)]
        for _ in streams:
            assert waiting.gate.waiting.acquire(timeout=20)
        limpet.kill(how)
        client.until(lambda: client.goaway)
        assert client.goaway.error_code == NO_ERROR
        waiting.gate.opened.set()
        assert [client.response(stream).text for stream in streams] == ["late"] * 3
        client.until(lambda: client.closed)
        assert client.goaway.last_stream_id == streams[-1]
        wait_until(lambda: not alive(worker), "the worker to end")
        if how == signal.SIGHUP:
            assert get(limpet.port).text == "app"
        else:
            limpet.process.wait(20)


def test_an_idle_connection_is_told_and_closed(app):
    with start(app, workers=1) as limpet, Http2(limpet.port) as client:
        assert client.get("/").status == 200
        limpet.kill(signal.SIGQUIT)
        assert client.wait_end() == NO_ERROR
        limpet.process.wait(20)


class Late(Http2):
    """Connects, and says nothing yet."""

    def send(self, data):
        self.unsaid = getattr(self, "unsaid", b"") + data

    def speak(self):
        self.send = super().send
        self.send(self.unsaid)


def test_a_connection_that_begins_late_is_told_and_closed(app):
    with start(app, workers=1) as limpet, Late(limpet.port) as client:
        assert get(limpet.port).text == "app"  # accepted behind it
        (worker,) = limpet.workers()
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("gracefully shutting down")
        client.speak()
        assert client.get("/").text == "app"
        assert client.wait_end() == NO_ERROR
        wait_until(lambda: not alive(worker), "the worker to end")


def test_a_stream_that_crosses_the_goaway_is_served_or_may_come_again(waiting):
    """RFC 9113 6.8: a client's request may be on its way while it is told to go."""
    with start(waiting, workers=1) as limpet, Http2(limpet.port) as client:
        first = client.ask("/waits")
        assert waiting.gate.waiting.acquire(timeout=20)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("gracefully shutting down|shutting down")
        second = client.ask("/second")
        waiting.gate.opened.set()
        assert client.response(first).text == "late"
        client.until(lambda: client.closed)
        had = client.streams[second]
        assert had.ended and had.status == 200 or second > client.goaway.last_stream_id


def test_kill_is_at_once(app):
    with start(app, workers=1) as limpet, Http2(limpet.port) as client:
        client.get("/")
        os.kill(limpet.pid, signal.SIGTERM)
        client.until(lambda: client.closed)
        limpet.process.wait(20)
