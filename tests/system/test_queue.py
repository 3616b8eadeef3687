"""`queue`: requests wait while all servers are at max_conns."""
import json
import threading

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format queue '$uri $status [$upstream_status] [$upstream_addr]';
    access_log access.log queue;
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} max_conns=1;
        {more}
    }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location = /stub { stub_status; access_log off; }
        location /anywhere/ { api /status/; access_log off; }
    }
}
"""


class Gate:
    """An origin whose answers to /held wait until they are let go."""

    def __init__(self, origin):
        self.origin = origin
        self.open = threading.Event()
        origin.respond = self.respond

    def respond(self, request):
        if request.target == "/held":
            self.open.wait(20)
        return Reply(self.origin.name.encode())

    @property
    def seen(self):
        return [request.target for request in self.origin.requests]


@pytest.fixture
def gate(origins):
    gate = Gate(origins("a")[0])
    yield gate
    gate.open.set()


def start(gate, more, workers=1):
    return Limpet(CONFIG, a=gate.origin.port, more=more, workers=workers)


def ask(limpet, path):
    connection = Connection(limpet.port)
    connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


def hold(limpet, gate):
    connection = ask(limpet, "/held")
    wait_until(lambda: "/held" in gate.seen, "the server to be busy")
    return connection


def test_waiting_requests_are_served_in_order(gate):
    with start(gate, "queue 10;") as limpet:
        held = hold(limpet, gate)
        waiting = []
        for number in range(6):
            waiting.append(ask(limpet, f"/{number}"))
            wait_until(lambda: _waiting(limpet) == number + 2, "the request to be read")
        gate.open.set()
        for connection in [held, *waiting]:
            assert connection.response().status == 200
        assert gate.seen == ["/held"] + [f"/{number}" for number in range(6)]


def _waiting(limpet):
    """Connections whose request is being handled, this one excluded."""
    page = get(limpet.port, "/stub").text
    return int(page.split("Writing: ")[1].split()[0]) - 1


def test_a_place_freed_in_another_worker_is_taken(gate):
    with start(gate, "queue 20;", workers=4) as limpet:
        held = hold(limpet, gate)
        waiting = [ask(limpet, f"/{number}") for number in range(12)]
        gate.open.set()
        assert [connection.response().status for connection in [held, *waiting]] == [200] * 13


def test_the_api_tells_how_many_wait(gate):
    with start(gate, "queue 5;") as limpet:
        held = hold(limpet, gate)
        waiting = [ask(limpet, "/1"), ask(limpet, "/2")]

        def queue():
            return json.loads(get(limpet.port, "/anywhere/upstreams/app").text)["queue"]

        wait_until(lambda: queue() == {"waiting": 2, "limit": 5}, "both to wait")
        gate.open.set()
        assert [connection.response().status for connection in [held, *waiting]] == [200] * 3
        wait_until(lambda: queue() == {"waiting": 0, "limit": 5}, "nobody to wait")


def test_a_full_queue_refuses(gate):
    with start(gate, "queue 2;") as limpet:
        held = hold(limpet, gate)
        others = [ask(limpet, "/x") for _ in range(3)]
        limpet.wait_log("upstream queue is full while connecting to upstream")
        gate.open.set()
        statuses = sorted(connection.response().status for connection in [held, *others])
        assert statuses == [200, 200, 200, 502]
        assert wait_until(lambda: [line for line in open(limpet.path("access.log")) if " 502 [" in line],
                          "the access log") == ["/x 502 [502] [app]\n"]


def test_a_request_waits_no_longer_than_its_timeout(gate):
    with start(gate, "queue 2 timeout=200ms;") as limpet:
        held = hold(limpet, gate)
        assert ask(limpet, "/x").response().status == 502
        limpet.wait_log("upstream queue timed out while connecting to upstream")
        gate.open.set()
        assert held.response().status == 200
        assert gate.seen == ["/held"]


def test_without_a_queue_nobody_waits(gate):
    with start(gate, "") as limpet:
        held = hold(limpet, gate)
        assert get(limpet.port).status == 502
        limpet.wait_log("no live upstreams while connecting to upstream")
        gate.open.set()
        assert held.response().status == 200


def test_a_client_that_leaves_the_queue_is_forgotten(gate):
    with start(gate, "queue 1;") as limpet:
        held = hold(limpet, gate)
        ask(limpet, "/left").close()
        wait_until(lambda: "/left 499 " in open(limpet.path("access.log")).read(), "the client to be missed")
        waiting = ask(limpet, "/next")  # there is room for it
        gate.open.set()
        assert held.response().status == waiting.response().status == 200
        assert gate.seen == ["/held", "/next"]


def test_a_free_server_is_used_at_once(gate, origins):
    b, = origins("b")
    with start(gate, f"server 127.0.0.1:{b.port}; queue 5;") as limpet:
        held = hold(limpet, gate)
        assert {get(limpet.port).text for _ in range(5)} == {"b"}
        gate.open.set()
        assert held.response().status == 200


def test_a_server_that_is_down_is_not_waited_for(gate):
    with start(gate, "queue 5; server 127.0.0.1:1 down;") as limpet:
        gate.origin.stop()
        assert get(limpet.port).status == 502
        assert get(limpet.port).status == 502
        assert not limpet.log_lines("queue")
