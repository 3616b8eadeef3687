"""How long a session is kept by its own requests: from the head to the end for the client, and no longer."""
import time

import pytest

from client import Connection, get
from daemon import Limpet, cpu_seconds
from origin import Reply
from sessions import LoginServer, idle_seconds, two_servers
from waiting import wait_until
from websocket import TEXT, frame, read_frame

CONFIG = """
worker_processes 1;
events { }
http {
    map $upstream_http_x_session $mapped { default $upstream_http_x_session; }
    upstream app {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:64k timeout={timeout} gc_period=1h;
    }
    upstream mapped {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$mapped lookup=$cookie_id zone=m:64k timeout=1s gc_period=1h;
    }
    upstream cookied {
        server 127.0.0.1:{a};
        sticky cookie srv;
    }
    server {
        listen {port};
        add_header X-Status $sticky_status;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        location / { proxy_pass http://app; }
        location /mapped/ { proxy_pass http://mapped; }
        location /cookied/ { proxy_pass http://cookied; }
        location /status/ { api /status/; }
    }
}
"""
TIMEOUT = 4


class Server(LoginServer):
    """/slow and /events take their time over the body."""

    def respond(self, request):
        path, _, query = request.target.partition("?")
        name = self.name.encode()
        if path == "/mapped/held":
            self.hold()
            return Reply(name, headers=[("X-Session", query)])
        if path == "/slow":
            return Reply(raw=self.in_two(name))
        if path.endswith("/events"):
            return Reply(raw=self.events(), close=True)
        if path == "/large":
            return Reply(b"x" * 12_000_000)
        return super().respond(request)

    def in_two(self, name):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(name) + 1)
        self.hold()
        yield name + b"!"

    @staticmethod
    def events():
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        for i in range(40):
            time.sleep(0.05)
            yield b"data: %d\n\n" % i


@pytest.fixture
def servers(origins):
    yield from two_servers(origins, Server)


class Site(Limpet):
    def __init__(self, servers, timeout=f"{TIMEOUT}s"):
        self.servers = servers
        super().__init__(CONFIG, timeout=timeout, a=servers[0].origin.port, b=servers[1].origin.port)

    def login(self, session="me"):
        get(self.port, f"/login?{session}")
        return time.monotonic()

    def idle(self, session="me", zone="z"):
        return idle_seconds(self.port, session, zone)

    def release(self):
        for server in self.servers:
            server.go.set()


def after(moment):
    wait_until(lambda: time.monotonic() > moment, "its time")


def slow_answer(limpet, client, session):
    """Arms, in the exchange of that client, what a later request must not see."""
    client.send(f"GET /slow HTTP/1.1\r\nHost: x\r\nCookie: id={session}\r\n\r\n")
    wait_until(lambda: any(server.held.acquire(blocking=False) for server in limpet.servers), "the slow answer's head")
    limpet.release()
    assert client.response().status == 200
    for server in limpet.servers:
        server.go.clear()


def test_what_one_request_has_armed_does_not_strike_the_next(servers):
    """A slow answer of a `learn` upstream, then a stream of a `cookie` upstream in the same exchange."""
    with Site(servers, timeout="1s") as limpet, Connection(limpet.port) as client:
        limpet.login()
        slow_answer(limpet, client, "me")
        worker, = limpet.workers()
        before = cpu_seconds(worker)
        events = client.request("/cookied/events").body
        assert events.count(b"data:") == 40
        assert cpu_seconds(worker) - before < 0.4


def test_a_request_that_waits_keeps_its_session_to_the_end(servers):
    """Also one that comes when the rest of the timeout is shorter than the usual first touch is away."""
    with Site(servers) as limpet:
        since = limpet.login()
        wait_until(lambda: limpet.idle() >= TIMEOUT * 0.6, "the session to be idle")
        with Connection(limpet.port) as client:
            client.send("GET /held HTTP/1.1\r\nHost: x\r\nCookie: id=me\r\n\r\n")
            wait_until(lambda: any(server.held.acquire(blocking=False) for server in servers), "the request")
            after(since + TIMEOUT * 1.2)
            assert limpet.idle() is not None
            limpet.release()
            assert client.response().header("x-status") == "hit"


def test_a_body_that_takes_longer_than_the_timeout_has_its_session(servers):
    with Site(servers, timeout="2s") as limpet, Connection(limpet.port) as client:
        limpet.login()
        client.send("POST / HTTP/1.1\r\nHost: x\r\nCookie: id=me\r\nContent-Length: 8\r\n\r\nhalf")
        since = time.monotonic()
        wait_until(lambda: limpet.idle() is None or time.monotonic() > since + 3, "the timeout")
        client.send("half")
        assert client.response().header("x-status") == "hit"


def test_a_slow_reader_keeps_its_session_until_it_has_the_answer(servers):
    """The server was read to its end long ago: the rest is in a file of limpet's."""
    with Site(servers, timeout="2s") as limpet, Connection(limpet.port) as client:
        since = limpet.login()
        client.send("GET /large HTTP/1.1\r\nHost: x\r\nCookie: id=me\r\n\r\n")
        after(since + 3)
        assert limpet.idle() is not None
        assert len(client.response().body) == 12_000_000


def test_a_websocket_begins_with_a_full_life(servers):
    with Site(servers, timeout="2s") as limpet, Connection(limpet.port) as client:
        since = limpet.login()
        wait_until(lambda: limpet.idle() >= 1.2, "the session to be idle")
        limpet.login("other")
        slow_answer(limpet, client, "other")
        client.send("GET / HTTP/1.1\r\nHost: x\r\nCookie: id=me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert client.response().status == 101
        after(since + 3)
        assert limpet.idle() is not None
        client.send(frame(TEXT, b"there"))
        assert read_frame(client.stream)[1] == b"there"


def test_nothing_is_evaluated_before_the_answer_is_there(servers):
    """A map of the answer's head would be kept as empty by whoever asks too early."""
    with Site(servers, timeout="1s") as limpet, Connection(limpet.port) as client:
        limpet.login()
        slow_answer(limpet, client, "me")
        since = time.monotonic()
        client.send("GET /mapped/held?new HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: any(server.held.acquire(blocking=False) for server in servers), "the request")
        after(since + 0.8)
        limpet.release()
        where = client.response().text
        assert {get(limpet.port, "/mapped/", cookies={"id": "new"}).text for _ in range(6)} == {where}


def test_a_session_ages_whose_answers_give_another(servers):
    """As in nginx: it is looked up, and not used."""
    with Site(servers) as limpet:
        limpet.login()
        wait_until(lambda: limpet.idle() >= TIMEOUT / 2, "the session to be idle")
        assert get(limpet.port, "/login?other", cookies={"id": "me"}).header("x-status") == "hit"
        assert limpet.idle() >= TIMEOUT / 2 and limpet.idle("other") < TIMEOUT / 4
        assert get(limpet.port, "/", cookies={"id": "me"}).header("x-status") == "hit"
        assert limpet.idle() < TIMEOUT / 4
